/*
 * The tokens of a configuration for a tool: opened and logged into when first needed, one session
 * each, one thread.
 */
#ifndef TOOLS_TOKENS_H
#define TOOLS_TOKENS_H

#include "config/files.h"
#include "config/settings.h"
#include "pkcs11/token.h"

struct tokens;

/**
 * Reads the TokenTable or PKCS11Module; touches no module and no PIN.
 * @param settings, files must outlive the tokens
 */
NODISCARD enum err tokens_new(const struct settings *settings, struct files *files,
			      struct tokens **ret_tokens, struct err_detail *detail);
void tokens_free(struct tokens **tokens);

/** Sessions are closed, and opened again when they are needed: as the daemon finds the tokens now,
 * not as an old session remembers them. What could not be opened may be tried again. */
void tokens_close(struct tokens *tokens);

/**
 * From now on modules are called as the daemon's signer calls them (tools/actas.h), so what is made
 * is the daemon's; PINs are still read as who we are. Before the first use of a token.
 */
NODISCARD enum err tokens_act_as_signer(struct tokens *tokens, struct err_detail *detail);

/**
 * Call fn with a session on each configured token until it returns something else than
 * ERR_KEY_MISSING: its answer when the URI means another token.
 * @param hint  when the configuration names a module but no token of it: which one; NULL: its only
 * one. All calls must mean the same.
 * @return fn's last answer; ERR_CONFIG (no token is configured), ERR_TOKEN_*, ERR_MODULE
 */
NODISCARD enum err tokens_try(struct tokens *tokens, const struct p11_uri *hint,
			      enum err (*fn)(void *ctx, struct token_session *session,
					     struct err_detail *detail),
			      void *ctx, struct err_detail *detail);

/** The public half of the key that a URI names. */
NODISCARD enum err tokens_read_public(struct tokens *tokens, struct slice uri,
				      struct pubkey **ret_key, struct err_detail *detail);

#endif
