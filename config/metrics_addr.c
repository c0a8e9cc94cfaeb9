/* Where metrics are served. */
#include "config/metrics_addr.h"

#include "base/slice.h"

#include <arpa/inet.h>
#include <stdio.h>

static enum err refuse(const char *spec, const char *why, struct err_detail *detail)
{
	err_detail_set(detail,
		       "MetricsListen %s: %s; write 127.0.0.1:PORT, [::1]:PORT or the path of a "
		       "Unix socket, and put a proxy with access control before it for others",
		       spec, why);
	return ERR_CONFIG;
}

static enum err parse_path(const char *spec, struct slice path, struct metrics_addr *addr,
			   struct err_detail *detail)
{
	if (path.len >= sizeof(addr->path))
		return refuse(spec, "the path is longer than 107 bytes", detail);
	addr->is_path = true;
	(void)snprintf(addr->path, sizeof(addr->path), "%.*s", SLICE_FMT(path));
	return ERR_OK;
}

/* 127.0.0.0/8 and ::1. */
static bool is_loopback(struct metrics_addr *addr)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, addr->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	addr->is_inet6 = inet_pton(AF_INET6, addr->host, &v6) == 1;
	return addr->is_inet6 && IN6_IS_ADDR_LOOPBACK(&v6);
}

enum err metrics_addr_parse(const char *spec, struct metrics_addr *ret_addr,
			    struct err_detail *detail)
{
	static const struct slice prefix = SLICE_INIT("unix:");
	struct slice all = slice_str(spec);
	struct metrics_addr addr = { .is_path = false };
	size_t colon = slice_rfind(all, ':');
	struct slice host = slice_sub(all, 0, colon);
	struct slice port = slice_sub(all, colon + 1, all.len);
	unsigned long long number = 0;
	enum err e = ERR_OK;

	if (slice_starts(all, SLICE_LIT("/"))) {
		e = parse_path(spec, all, &addr, detail);
	} else if (slice_starts(all, prefix)) {
		e = parse_path(spec, slice_sub(all, prefix.len, all.len), &addr, detail);
	} else {
		if (!slice_u64(port, &number) || number == 0 || number > 65535)
			return refuse(spec, "there is no port from 1 to 65535 at its end", detail);
		if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
			host = slice_sub(host, 1, host.len - 1);
		if (slice_ieq(host, SLICE_LIT("localhost")))
			host = SLICE_LIT("127.0.0.1");
		if (host.len >= sizeof(addr.host))
			return refuse(spec, "it is no loopback address", detail);
		(void)snprintf(addr.host, sizeof(addr.host), "%.*s", SLICE_FMT(host));
		(void)snprintf(addr.port, sizeof(addr.port), "%llu", number);
		if (!is_loopback(&addr))
			return refuse(spec, "other machines could read it", detail);
	}
	if (e == ERR_OK)
		*ret_addr = addr;
	return e;
}
