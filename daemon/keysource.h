/* Where the milter process gets key records from, by its settings: opened once, before the sandbox
 * closes the file system. */
#ifndef DAEMON_KEYSOURCE_H
#define DAEMON_KEYSOURCE_H

#include "base/err.h"
#include "config/files.h"
#include "config/settings.h"
#include "dns/source.h"

/**
 * TestPublicKeys, TestDNSData, or DNS with Nameservers, ResolverConfiguration and TrustAnchorFile.
 * @param files only read; need not stay
 * @param ret_source NULL when the settings do not verify; dns_source_free() it
 * @param ret_dnssec answers are validated
 * @return ERR_CONFIG, ERR_IO, ERR_NOMEM with a detail
 */
NODISCARD enum err keysource_open(const struct settings *settings, struct files *files,
				  struct dns_source **ret_source, bool *ret_dnssec,
				  struct err_detail *detail);

/** For -n: whether TestDNSData can be read. @return as dataset_open() */
NODISCARD enum err keysource_check(const struct settings *settings, struct files *files,
				   struct err_detail *detail);

#endif
