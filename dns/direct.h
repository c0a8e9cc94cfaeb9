/* One question straight to one server, without caches and recursion: what it serves right now. */
#ifndef DNS_DIRECT_H
#define DNS_DIRECT_H

#include "dns/answer.h"

/**
 * Ask over UDP, again over UDP when nothing comes, over TCP when the answer is too long for it.
 * Blocks until the deadline at most. A CNAME is not followed: the answer is then DNS_NODATA.
 * @param answer initialised; DNS_REFUSED also when the server only points elsewhere
 */
void dns_direct_ask(const struct sockaddr *server, socklen_t server_len, const char *name,
		    enum dns_type type, int timeout_ms, struct dns_answer *answer);

#endif
