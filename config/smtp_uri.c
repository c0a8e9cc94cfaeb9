/* smtp://HOST[:PORT]: see smtp_uri.h. */
#include "config/smtp_uri.h"

#include "base/slice.h"

#include <stdio.h>

#define DEFAULT_PORT "25"
#define PORT_MAX 65535u

/* A name or an address: nothing that means something to anybody else. */
static bool host_valid(struct slice host)
{
	static const struct slice signs = SLICE_INIT(".-:");

	for (size_t i = 0; i < host.len; i++)
		if (!ch_is_alpha(host.ptr[i]) && !ch_is_digit(host.ptr[i]) &&
		    slice_find(signs, host.ptr[i]) == signs.len)
			return false;
	return host.len != 0 && host.len < sizeof(((struct smtp_uri *)NULL)->host);
}

/* "HOST", "HOST:PORT", "[ADDRESS]", "[ADDRESS]:PORT". */
static bool split(struct slice text, struct slice *ret_host, struct slice *ret_port)
{
	size_t end;

	*ret_port = SLICE_LIT(DEFAULT_PORT);
	if (slice_starts(text, SLICE_LIT("["))) {
		end = slice_find(text, ']');
		*ret_host = slice_sub(text, 1, end);
		end++;
	} else {
		end = slice_find(text, ':');
		*ret_host = slice_sub(text, 0, end);
	}
	if (end >= text.len)
		return end == text.len;
	*ret_port = slice_sub(text, end + 1, text.len);
	return text.ptr[end] == ':';
}

enum err smtp_uri_parse(const char *text, struct smtp_uri *ret_uri, struct err_detail *detail)
{
	static const struct slice scheme = SLICE_INIT("smtp://");
	struct slice rest = slice_str(text);
	unsigned long long number = 0;
	struct slice host;
	struct slice port;

	if (slice_istarts(rest, scheme)) {
		rest = slice_sub(rest, scheme.len, rest.len);
		if (slice_ends(rest, SLICE_LIT("/")))
			rest = slice_sub(rest, 0, rest.len - 1);
		if (split(rest, &host, &port) && host_valid(host) && slice_u64(port, &number) &&
		    number != 0 && number <= PORT_MAX) {
			(void)snprintf(ret_uri->host, sizeof(ret_uri->host), "%.*s",
				       SLICE_FMT(host));
			(void)snprintf(ret_uri->port, sizeof(ret_uri->port), "%llu", number);
			return ERR_OK;
		}
	}
	err_detail_set(detail, "SMTPURI: \"%s\" is not of the form smtp://HOST or smtp://HOST:PORT",
		       text);
	return ERR_CONFIG;
}
