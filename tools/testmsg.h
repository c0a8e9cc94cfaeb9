/*
 * hsmdkim-testmsg: sign or verify one message from standard input, and explain.
 *
 *   stdin -> testmsg_input (header store, body) -> sign: keys of the configuration, one signature
 * each
 *                                               -> verify: dkim_verify, then for --explain what was
 *                                                  signed, both canonical forms, both hashes, and
 * the known rewrites that make a bad signature good
 */
#ifndef TOOLS_TESTMSG_H
#define TOOLS_TESTMSG_H

#include "base/arena.h"
#include "dkim/hdrstore.h"
#include "dkim/verify.h"
#include "tools/options.h"
#include "tools/toolconf.h"

#include <stdio.h>

/** Longest message: as large as mail gets. */
#define TESTMSG_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct testmsg_options {
	bool crlf; /**< -C */
	const char *domain;
	bool keep; /**< -K, accepted: there are no temporary files */
	const char *key;
	const char *selector;
	const char *temporary; /**< -t, accepted */
	const char *config;
	bool sign; /**< with the keys of the configuration */
	bool explain;
	const char *nameservers;
	unsigned timeout_s; /**< 0: DNSTimeout */
	const char *module;
	const char *pin_source;
};

extern const struct testmsg_options testmsg_defaults;
extern const struct option_spec testmsg_spec;

/** One message. Everything lives in the arena or in raw. */
struct testmsg {
	struct arena *arena;
	struct buf raw;	   /**< as it was read */
	struct buf crlf;   /**< the same, every lone LF as CRLF: what an MTA would pass on */
	struct slice body; /**< in crlf */
	struct hdrstore *headers;
};

void testmsg_done(struct testmsg *m);

/** Read and split. @return ERR_IO, ERR_LIMIT, ERR_SYNTAX (a header line without a name), ERR_NOMEM
 */
NODISCARD enum err testmsg_read(FILE *in, struct testmsg *ret_message, struct err_detail *detail);

/** Sign as the options or the configuration say; print the signed message. */
NODISCARD enum err testmsg_sign(const struct testmsg_options *o, const struct toolconf *conf,
				struct testmsg *m, struct err_detail *detail);

/**
 * Verify; print a line for each signature, with --explain everything about it.
 * @param ret_exit EX_OK when one signature is good, EX_DATAERR, EX_TEMPFAIL (DNS), EX_NOINPUT
 * (none)
 */
NODISCARD enum err testmsg_verify(const struct testmsg_options *o, const struct toolconf *conf,
				  struct testmsg *m, int *ret_exit, struct err_detail *detail);

/** What is needed to look into one signature. */
struct testmsg_case {
	struct testmsg *message;
	const struct dkim_verdict *verdict;
	const struct pubkey *key; /**< NULL: there is none */
};

/** Hash of a body as the signature's c= and l= say. @return ERR_NOMEM, ERR_CRYPTO */
NODISCARD enum err testmsg_body_hash(const struct testmsg_case *c, struct slice body,
				     unsigned char ret_digest[static 32], size_t *ret_len);

/** The canonical header of other header fields. @return as dkim_header_input() */
NODISCARD enum err testmsg_header_input(const struct testmsg_case *c,
					const struct hdrstore *headers, struct slice *ret_input);

/** Is the signature good for this canonical header? */
bool testmsg_signature_fits(const struct testmsg_case *c, struct slice input);

/** Everything about a signature, to standard output. */
void testmsg_explain(const struct testmsg_case *c);

/** The rewrite of the body that makes bh= right, for people; NULL: none of the known ones. */
const char *testmsg_guess_body(const struct testmsg_case *c, char *room, size_t room_size);
/** The change of a signed field that makes the signature right; NULL: none of the known ones. */
const char *testmsg_guess_header(const struct testmsg_case *c, char *room, size_t room_size);

/** The program. @return its exit status */
int testmsg_main(int argc, char **argv);

#endif
