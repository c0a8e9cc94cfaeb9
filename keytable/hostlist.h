/* Lists of hosts: names, .suffixes, addresses, CIDR blocks, '!' negation (InternalHosts, PeerList,
 * ...). */
#ifndef KEYTABLE_HOSTLIST_H
#define KEYTABLE_HOSTLIST_H

#include "keytable/dataset.h"

#include <sys/socket.h>

struct hostlist;

/**
 * @param spec NULL: an empty list
 * @return as dataset_open(); a block with host bits set, a bad address: ERR_CONFIG with FILE:LINE
 * and the right form
 */
NODISCARD enum err hostlist_open(const char *name, const char *spec, struct files *files,
				 struct hostlist **ret_list, struct err_detail *detail);
void hostlist_free(struct hostlist **list);

/**
 * OpenDKIM's order: host name, each parent as .suffix, address, then blocks from the longest prefix
 * down; the first that is listed decides, "!" makes it a no.
 * @param host  from the MTA, may be empty or "[1.2.3.4]"
 * @param addr  NULL: no address (local mail counts as 127.0.0.1: the caller passes that)
 * @param ret_rule the entry that decided, for LogWhy; may be NULL; empty when none did
 */
bool hostlist_match(const struct hostlist *list, struct slice host, const struct sockaddr *addr,
		    struct slice *ret_rule);

#endif
