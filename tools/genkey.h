/*
 * hsmdkim-genkey: a key, its record, and the lines of KeyTable and SigningTable that use it.
 *
 *   options -> genkey_plan (checked) -> for each domain: source makes or finds the key,
 *   SELECTOR.txt is written, the lines are printed
 */
#ifndef TOOLS_GENKEY_H
#define TOOLS_GENKEY_H

#include "base/alg.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/pubkey.h"
#include "base/slice.h"
#include "dkim/idn.h"
#include "tools/dnstext.h"
#include "tools/options.h"

#include <stdio.h>

/** The command line; names as opendkim-genkey's where it has them. */
struct genkey_options {
	bool append_domain;
	unsigned bits; /**< 0: the default of the type */
	const char *directory;
	const char
		*domain; /**< NULL: "localhost", as with opendkim-genkey; a token key needs one */
	const char *hashes;
	const char *note;
	bool restrict_email;
	const char *selector;
	bool subdomains;
	bool test_mode;
	unsigned verbose;
	const char *type;
	bool ed25519;
	const char *format;
	const char *zone;
	unsigned ttl_s;
	const char *domains_file;
	const char *token; /**< pkcs11: URI; NULL: a file */
	const char *module;
	const char *pin_source;
	const char *config;
	const char *import; /**< PEM file that goes to the token */
	bool act_as_signer; /**< no option: the key is to be the daemon's */
};

extern const struct genkey_options genkey_defaults;
extern const struct option_spec genkey_spec;

/** One key to make. */
struct genkey_job {
	struct slice domain; /**< A-labels, RFC 5890 */
	struct slice typed;  /**< the same as the user wrote it: mail may spell it so, RFC 8616 */
	struct slice selector;
	const char *directory; /**< where SELECTOR.txt goes */
	enum key_type type;
	unsigned bits;
	bool may_exist; /**< a key that is there from an earlier run is taken */
};

struct genkey_made {
	struct pubkey *key; /**< its public half */
	struct buf ref;	    /**< what the KeyTable calls it: a path or a URI */
	bool kept;	    /**< it was there */
};

void genkey_made_done(struct genkey_made *made);

/** Where keys come from. */
struct genkey_source {
	/** @return ERR_DENIED: there is one and !may_exist */
	enum err (*make)(void *ctx, const struct genkey_job *job, struct genkey_made *ret_made,
			 struct err_detail *detail);
	void (*close)(void *ctx); /**< NULL: nothing to close */
	void *ctx;
};

/** PEM files SELECTOR.private in the job's directory. */
extern const struct genkey_source genkey_source_file;

/** A token, opened and logged in. @return as the functions of pkcs11/, ERR_CONFIG */
NODISCARD enum err genkey_source_token_open(const struct genkey_options *o,
					    struct genkey_source *ret_source,
					    struct err_detail *detail);

/** The checked command line. */
struct genkey_plan {
	const struct genkey_options *options;
	const struct dnstext_form *form;
	struct idn_name domain; /**< not with a list */
	struct idn_name zone;	/**< empty: the domain */
	enum key_type type;
	unsigned bits;
	struct genkey_source source;
	FILE *out;
};

/** Check everything that needs neither key nor token. @return ERR_CONFIG with what to do */
NODISCARD enum err genkey_plan_make(const struct genkey_options *o, struct genkey_plan *ret_plan,
				    struct err_detail *detail);

/** Texts that go to one place each when keys are made for a list. */
struct genkey_report {
	struct buf keytable;
	struct buf signingtable;
	struct buf names; /**< the record and its host names; not for lists */
};

void genkey_report_init(struct genkey_report *report);
void genkey_report_done(struct genkey_report *report);
void genkey_migration_print(const struct genkey_report *report, FILE *out);

/** Make one key, write its record to SELECTOR.txt. @param ret_kept the key was there already */
NODISCARD enum err genkey_one(const struct genkey_plan *plan, const struct genkey_job *job,
			      struct genkey_report *report, bool *ret_kept,
			      struct err_detail *detail);

/**
 * Keys for a file of "domain [selector]" lines, each in DIRECTORY/DOMAIN/. Keys that an earlier,
 * interrupted run made are kept, so the same command goes on where it stopped.
 */
NODISCARD enum err genkey_list(const struct genkey_plan *plan, struct genkey_report *report,
			       struct err_detail *detail);

/** ASCII DNS labels: letters, digits, '-' and '_', 1 to 63 each, '-' at no end; 253 in all. */
bool genkey_name_valid(struct slice name);

/** A domain as typed, in A-labels; one of ASCII keeps its case. @return false: it is no name */
NODISCARD bool genkey_domain_read(struct slice typed, struct idn_name *ret_domain);

/** The program. @return its exit status */
int genkey_main(int argc, char **argv);

#endif
