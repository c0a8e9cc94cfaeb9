/* hsmdkim-genzone: the key records of a KeyTable as a zone file or as input for nsupdate(1). */
#ifndef TOOLS_GENZONE_H
#define TOOLS_GENZONE_H

#include "base/buf.h"
#include "tools/keyset.h"
#include "tools/options.h"

#include <time.h>

/** The command line, opendkim-genzone's. */
struct genzone_options {
	const char *contact;
	const char *domain;
	bool suffix; /**< -D: "._domainkey" behind the selector */
	bool email_only;
	unsigned expire_s;
	bool whole_name; /**< -F */
	const char *nameservers;
	const char *output;
	unsigned refresh_s;
	unsigned retry_s;
	bool subdomains;
	bool soa;
	unsigned ttl_s; /**< 0: none is written */
	unsigned default_ttl_s;
	bool nsupdate;
	unsigned verbose;
	const char *config;
	const char *module;
	const char *pin_source;
};

extern const struct genzone_options genzone_defaults;
extern const struct option_spec genzone_spec;

/** A zone of a million 4096-bit keys. */
#define GENZONE_BYTES_MAX ((size_t)2 * 1024 * 1024 * 1024)

/** True when the row's domain is asked for. */
bool genzone_wants(const struct genzone_options *o, const struct keyset_row *row);

/**
 * The whole text: byte for byte opendkim-genzone's but for the program's name. Differences: names
 * of subdomains (-s) and of nsupdate are right, a "send" stands between two zones.
 * @param now the time in the comment and the serial
 */
void genzone_write(const struct genzone_options *o, const struct keyset *set, time_t now,
		   struct buf *out);

/** The program. @return its exit status */
int genzone_main(int argc, char **argv);

#endif
