/* What no single line of the configuration can show, and which files it needs. */
#include "config/files.h"
#include "config/metrics_addr.h"
#include "config/settings_priv.h"
#include "config/smtp_uri.h"

/* Of struct sockaddr_un. */
#define SOCKET_PATH_MAX 107u

/* On-Default is read first, whatever its place in the file; On-TokenFailure, which OpenDKIM does
 * not have, keeps its own default, or an old opendkim.conf would let mail leave unsigned. */
static void apply_on_default(struct settings *s)
{
	if (s->on_default == ACTION_UNSET)
		return;
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		const struct setting_row *row = &settings_rows[i];

		if (row->words == settings_words_action && !s->is_set[i] &&
		    i != SETTING_ID_on_token_failure)
			*(int *)setting_field(s, row) = s->on_default;
	}
}

/* Combinations that are errors when the condition holds. */
static enum err check_signing(const struct settings *s, struct err_detail *detail)
{
	const struct {
		bool wrong;
		const char *text;
	} rules[] = {
		{ s->signing_table != NULL && s->key_table == NULL,
		  "SigningTable requires KeyTable" },
		{ s->key_table != NULL && s->signing_table == NULL,
		  "KeyTable requires SigningTable" },
		{ s->key_table == NULL && (s->selector == NULL) != (s->key_file == NULL),
		  "KeyFile and Selector must both be set or both be unset" },
		{ s->key_table == NULL && s->domain != NULL && s->key_file == NULL,
		  "Domain requires KeyFile and Selector (or use KeyTable and SigningTable)" },
		{ s->key_table == NULL && s->domain == NULL && s->key_file != NULL,
		  "KeyFile requires Domain, the domains to sign" },
	};

	for (size_t i = 0; (s->mode & MODE_SIGN) != 0 && i < ARRAY_LEN(rules); i++) {
		if (rules[i].wrong) {
			err_detail_set(detail, "%s", rules[i].text);
			return ERR_CONFIG;
		}
	}
	return ERR_OK;
}

static enum err check_tokens(const struct settings *s, struct err_detail *detail)
{
	struct slice pin = slice_str(s->pkcs11_pin_source);

	if (s->pkcs11_module != NULL && s->token_table != NULL) {
		err_detail_set(detail, "PKCS11Module and TokenTable exclude each other: "
				       "name the module in the TokenTable");
		return ERR_CONFIG;
	}
	if (s->pkcs11_module != NULL && s->pkcs11_module[0] != '/') {
		err_detail_set(detail, "PKCS11Module must be an absolute path");
		return ERR_CONFIG;
	}
	if (pin.len != 0 && !slice_starts(pin, SLICE_LIT("file:/")) &&
	    !slice_starts(pin, SLICE_LIT("credential:")) && !slice_eq(pin, SLICE_LIT("prompt"))) {
		err_detail_set(detail, "PKCS11PinSource: write file:/path, credential:NAME or "
				       "prompt, never the PIN itself");
		return ERR_CONFIG;
	}
	return ERR_OK;
}

static enum err check_operator(const struct settings *s, struct err_detail *detail)
{
	struct metrics_addr addr;
	struct smtp_uri uri;
	enum err err = ERR_OK;
	struct slice control = slice_str(s->control_socket);

	if (control.len != 0 && (control.ptr[0] != '/' || control.len > SOCKET_PATH_MAX)) {
		err_detail_set(detail, "ControlSocket must be an absolute path of at most %u bytes",
			       SOCKET_PATH_MAX);
		return ERR_CONFIG;
	}

	if (s->metrics_listen != NULL)
		err = metrics_addr_parse(s->metrics_listen, &addr, detail);
	if (err == ERR_OK && s->smtp_uri != NULL)
		err = smtp_uri_parse(s->smtp_uri, &uri, detail);
	return err;
}

static void warn_unused(const struct settings *s, struct settings_warnings *warnings)
{
	const struct {
		bool unused;
		const char *text;
	} rules[] = {
		{ s->key_table != NULL && s->key_file != NULL, "KeyFile is not used: KeyTable is" },
		{ s->key_table != NULL && s->selector != NULL,
		  "Selector is not used: KeyTable is" },
		{ s->key_table != NULL && s->domain != NULL, "Domain is not used: KeyTable is" },
		{ s->pkcs11_pin_source != NULL && s->pkcs11_module == NULL,
		  "PKCS11PinSource is not used: there is no PKCS11Module" },
		{ s->signature_algorithm == ALGORITHM_RSA_SHA1,
		  "SignatureAlgorithm rsa-sha1 is forbidden (RFC 8301): RSA keys sign rsa-sha256" },
		{ s->unprotected_key != DNSSEC_NONE && s->trust_anchor_file == NULL,
		  "UnprotectedKey: without TrustAnchorFile no key is known to be protected" },
		{ s->on_token_failure == ACTION_ACCEPT,
		  "On-TokenFailure accept lets mail leave unsigned when the token fails" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct err_detail text;

		if (!rules[i].unused)
			continue;
		err_detail_set(&text, "%s", rules[i].text);
		settings_place_error(s, &text);
		settings_warn(warnings, text.text);
	}
}

enum err settings_finish(struct settings *s, struct settings_warnings *warnings,
			 struct err_detail *detail)
{
	enum err e;

	apply_on_default(s);
	e = check_signing(s, detail);
	if (e == ERR_OK)
		e = check_tokens(s, detail);
	if (e == ERR_OK)
		e = check_operator(s, detail);
	if (e == ERR_OK)
		warn_unused(s, warnings);
	else
		settings_place_error(s, detail);
	return e;
}

static unsigned file_use(enum setting_id id)
{
	return id == SETTING_ID_key_table || id == SETTING_ID_token_table ||
			       id == SETTING_ID_key_file || id == SETTING_ID_pkcs11_pin_source
		       ? DATASET_USE_SIGNER
		       : DATASET_USE_MILTER;
}

/* NULL: the setting names no file. */
static const char *setting_path(const struct setting_row *row, enum setting_id id, const char *text)
{
	if (id == SETTING_ID_key_file)
		return slice_istarts(slice_str(text), SLICE_LIT("pkcs11:")) ? NULL : text;
	if (id == SETTING_ID_pkcs11_pin_source)
		return slice_starts(slice_str(text), SLICE_LIT("file:")) ? text + 5 : NULL;
	if (row->type == SETTING_TYPE_DATASET)
		return files_spec_path(text);
	return row->type == SETTING_TYPE_FILE ? text : NULL;
}

void settings_each_file(const struct settings *s,
			void (*fn)(void *ctx, const char *name, const char *path, unsigned use),
			void *ctx)
{
	for (size_t i = 0; i < SETTING_ID_COUNT; i++) {
		const struct setting_row *row = &settings_rows[i];
		const char *text =
			setting_is_text(row) ? *(char *const *)setting_field_const(s, row) : NULL;
		const char *path =
			text != NULL ? setting_path(row, (enum setting_id)i, text) : NULL;
		unsigned use;

		if (path == NULL)
			continue;
		use = file_use((enum setting_id)i);
		if (row->type == SETTING_TYPE_DATASET && files_spec_is_live(text))
			use |= DATASET_USE_LIVE;
		fn(ctx, row->name, path, use);
	}
}

void settings_each_set(const struct settings *s, void (*fn)(void *ctx, const char *name), void *ctx)
{
	for (size_t i = 0; i < SETTING_ID_COUNT; i++)
		if (s->is_set[i])
			fn(ctx, settings_rows[i].name);
}
