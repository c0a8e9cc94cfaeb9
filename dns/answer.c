/* Answers and their record data. */
#include "dns/answer.h"

#include <arpa/inet.h>
#include <stdlib.h>

const char *dns_status_text(enum dns_status status)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		DNS_STATUS_LIST(X)
#undef X
	};

	return (unsigned)status < ARRAY_LEN(texts) ? texts[status] : "unknown";
}

void dns_answer_init(struct dns_answer *answer)
{
	*answer = (struct dns_answer){ .status = DNS_BROKEN };
}

void dns_answer_done(struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		free((void *)answer->data[i].ptr);
	answer->count = 0;
}

enum err dns_answer_add(struct dns_answer *answer, const void *data, size_t len)
{
	char *copy;

	if (answer->count == DNS_RECORDS_MAX) {
		answer->too_many = true;
		return ERR_LIMIT;
	}
	copy = slice_dup(slice_of(data, len));
	if (copy == NULL)
		return ERR_NOMEM;
	answer->data[answer->count++] = slice_of(copy, len);
	return ERR_OK;
}

enum err dns_txt_join(struct slice data, struct buf *out, size_t *ret_strings)
{
	size_t strings = 0;

	while (data.len != 0) {
		size_t len = (unsigned char)data.ptr[0];

		if (len >= data.len)
			return ERR_SYNTAX;
		buf_add(out, slice_sub(data, 1, 1 + len));
		data = slice_sub(data, 1 + len, data.len);
		strings++;
	}
	if (ret_strings != NULL)
		*ret_strings = strings;
	return out->error;
}

enum err dns_txt_texts(const struct dns_answer *answer, size_t bytes_max, struct arena *arena,
		       struct dns_texts *ret_texts)
{
	AUTO(buf_done) struct buf text;
	struct dns_texts t = { .list = arena_calloc(arena, answer->count + 1, sizeof(*t.list)) };
	bool too_long = false;
	enum err e = t.list != NULL ? ERR_OK : ERR_NOMEM;

	buf_init(&text, bytes_max);
	for (size_t i = 0; i < answer->count && !answer->too_many && e == ERR_OK; i++) {
		enum err joined;

		buf_reset(&text);
		joined = dns_txt_join(answer->data[i], &text, NULL);
		if (joined == ERR_OK)
			e = arena_dup(arena, buf_slice(&text), &t.list[t.count++]);
		else if (joined == ERR_LIMIT)
			too_long = true;
		else if (joined != ERR_SYNTAX)
			e = joined;
	}
	/* what was left out of too many may be what was wanted */
	t.too_large = answer->too_many || (too_long && t.count == 0);
	*ret_texts = t;
	return e;
}

static bool label_readable(struct slice label)
{
	for (size_t i = 0; i < label.len; i++)
		if (!ch_is_alpha(label.ptr[i]) && !ch_is_digit(label.ptr[i]) &&
		    label.ptr[i] != '-' && label.ptr[i] != '_')
			return false;
	return true;
}

enum err dns_name_text(struct slice data, char out[DNS_NAME_TEXT_MAX], size_t *ret_used)
{
	size_t at = 0;
	size_t used = 0;

	for (;;) {
		size_t len;

		if (at >= data.len)
			return ERR_SYNTAX;
		len = (unsigned char)data.ptr[at++];
		if (len == 0)
			break;
		if (len > 63 || len > data.len - at || used + len + 2 > DNS_NAME_TEXT_MAX ||
		    !label_readable(slice_sub(data, at, at + len)))
			return ERR_SYNTAX;
		if (used != 0)
			out[used++] = '.';
		memcpy(out + used, data.ptr + at, len);
		used += len;
		at += len;
	}
	out[used] = '\0';
	if (ret_used != NULL)
		*ret_used = at;
	return ERR_OK;
}

enum err dns_address(struct slice data, uint16_t port, struct sockaddr_storage *ret_addr,
		     socklen_t *ret_len)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (data.len == sizeof(in4.sin_addr)) {
		memcpy(&in4.sin_addr, data.ptr, data.len);
		memcpy(ret_addr, &in4, sizeof(in4));
		*ret_len = sizeof(in4);
		return ERR_OK;
	}
	if (data.len == sizeof(in6.sin6_addr)) {
		memcpy(&in6.sin6_addr, data.ptr, data.len);
		memcpy(ret_addr, &in6, sizeof(in6));
		*ret_len = sizeof(in6);
		return ERR_OK;
	}
	return ERR_SYNTAX;
}
