/* signer/keyring_tables, signer/keyring_check: what a load refuses before a message needs it, and
 * what -n says besides. */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "signer/keyring.h"

#define KEY_PATH "/keys/mail.private"
#define KEY_FILE "KeyFile /keys/mail.private"

/* --- fixture -----------------------------------------------------------------------------------
 */

static char warnings[8192]; /* one a line */

static void on_warning(const char *text)
{
	size_t len = strlen(warnings);

	(void)snprintf(warnings + len, sizeof(warnings) - len, "%s\n", text);
}

static void put(struct files *f, const char *path, const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(files_put(f, path, fd), ERR_OK);
}

/* As the supervisor hands it over. @param more "Name value" for each, ended by NULL */
static struct settings *make_settings(const char *const *more)
{
	struct settings *s = settings_new();
	struct err_detail detail = { "" };

	assert_non_null(s);
	for (; *more != NULL; more++) {
		struct slice line = slice_str(*more);
		size_t blank = slice_find(line, ' ');

		if (settings_set(s, slice_sub(line, 0, blank), slice_sub(line, blank + 1, line.len),
				 NULL, &detail) != ERR_OK)
			fail_msg("%s: %s", *more, detail.text);
	}
	return s;
}

/* With KeyFile, by the daemon and by -n. @return both answers' error */
static enum err load(const char *key, const char *more, struct err_detail *detail)
{
	const char *const lines[] = {
		"Domain example.com", "Selector mail", KEY_FILE, "Syslog no", more, NULL
	};
	AUTO(settings_free) struct settings *s = make_settings(lines);
	AUTO(files_free) struct files *f = files_new_closed();
	AUTO(keyring_unref) struct keyring *ring = NULL;
	struct files *own = files_new_closed();
	struct err_detail checked = { "" };
	enum err check;
	enum err e;

	put(f, KEY_PATH, key);
	put(own, KEY_PATH, key);
	check = keyring_check(s, f, on_warning, &checked);
	e = keyring_new(1, make_settings(lines), own, NULL, &(struct pin_memory){ .notes = NULL },
			&ring, detail);
	assert_int_equal(check, e);
	assert_string_equal(checked.text, detail->text);
	return e;
}

static void write_pem(EVP_PKEY *pkey, const char *passphrase, char *out, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len;

	assert_non_null(pkey);
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
				 bio, pkey, passphrase != NULL ? EVP_aes_128_cbc() : NULL,
				 passphrase, passphrase != NULL ? (int)strlen(passphrase) : 0, NULL,
				 NULL),
			 1);
	len = BIO_read(bio, out, (int)size - 1);
	assert_true(len > 0);
	out[len] = '\0';
	BIO_free(bio);
	EVP_PKEY_free(pkey);
}

/* --- KeyFile -----------------------------------------------------------------------------------
 */

static void a_key_file_without_a_usable_key_is_refused(void **state)
{
	static char ec[1024];
	static char locked[4096];
	static char small[4096];
	const struct {
		const char *key;
		enum err error;
		const char *says;
	} rows[] = {
		{ "", ERR_KEY_BAD, "empty: make a key with hsmdkim-genkey" },
		{ "v=DKIM1; p=AAAA\n", ERR_KEY_BAD,
		  "no private key in PEM: name the SELECTOR.private" },
		{ locked, ERR_KEY_BAD, "the key has a passphrase: store it without one (openssl" },
		{ ec, ERR_KEY_BAD, "only RSA and Ed25519 keys sign mail: make another" },
		{ small, ERR_KEY_TOO_SMALL, "1024 bits; allowed are 2048 (MinimumKeyBits) to" },
	};

	(void)state;
	write_pem(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), NULL, ec, sizeof(ec));
	write_pem(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "secret", locked, sizeof(locked));
	write_pem(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), NULL, small, sizeof(small));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err_detail detail = { "" };
		const char *begin = "KeyFile: " KEY_PATH ": ";

		assert_int_equal(load(rows[i].key, "MinimumKeyBits 2048", &detail), rows[i].error);
		assert_int_equal(strncmp(detail.text, begin, strlen(begin)), 0);
		assert_int_equal(
			strncmp(detail.text + strlen(begin), rows[i].says, strlen(rows[i].says)),
			0);
	}
}

static void a_key_file_is_judged_by_the_settings(void **state)
{
	struct err_detail detail = { "" };
	static char good[4096];

	(void)state;
	write_pem(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), NULL, good, sizeof(good));
	assert_int_equal(load(good, NULL, &detail), ERR_OK);
	assert_int_equal(load("not used", "Mode v", &detail), ERR_OK);
	assert_int_equal(load(good, "RequireHardwareKeys yes", &detail), ERR_DENIED);
	assert_string_equal(detail.text, "KeyFile: " KEY_PATH ": the key is not on a token, and "
					 "RequireHardwareKeys is set");
	assert_string_equal(warnings, "");
}

/* --- tokens ------------------------------------------------------------------------------------
 */

#define MODULE "/proc/self/exe" /* has the form of one, and is never loaded */
#define NO_LOGIN "is not set: there will be no login, and most tokens hide their keys then\n"

/* -n of these tokens. @param rows of the TokenTable; NULL: one of PKCS11Module in more */
static enum err check_tokens(const char *rows, const char *pin, const char *const *more,
			     struct err_detail *detail)
{
	AUTO(settings_free) struct settings *s = make_settings(more);
	AUTO(files_free) struct files *f = files_new_closed();

	warnings[0] = '\0';
	put(f, "/pin", pin);
	if (rows != NULL)
		put(f, "/tokens", rows);
	return keyring_check(s, f, on_warning, detail);
}

static void a_module_that_is_none_and_a_login_without_pin_are_doubted(void **state)
{
	static const char *const table[] = { "TokenTable /tokens", NULL };
	static const char *const single[] = { "PKCS11Module /nonexistent/m.so", NULL };
	static const char *const verifier[] = { "Mode v", "PKCS11Module /nonexistent/m.so", NULL };
	struct err_detail detail = { "" };

	(void)state;
	assert_int_equal(check_tokens("# good\na pkcs11:?module-path=" MODULE
				      "&pin-source=file:/pin\n"
				      "b pkcs11:?module-path=/etc/passwd&pin-source=file:/pin\n"
				      "c pkcs11:?module-path=/etc&pin-source=prompt\n"
				      "d pkcs11:?module-path=" MODULE "\n",
				      "1234\n", table, &detail),
			 ERR_OK);
	assert_string_equal(warnings,
			    "/tokens:3: token 'b': /etc/passwd is no shared object: name the .so "
			    "file of the token's PKCS#11 module\n"
			    "/tokens:4: token 'c': /etc is no shared object: name the .so "
			    "file of the token's PKCS#11 module\n"
			    "/tokens:5: token 'd': pin-source= " NO_LOGIN);
	assert_int_equal(check_tokens(NULL, "", single, &detail), ERR_OK);
	assert_string_equal(warnings,
			    "PKCS11Module: /nonexistent/m.so: there is no such file: install the "
			    "token's PKCS#11 module, or correct the path\n"
			    "PKCS11Module: PKCS11PinSource " NO_LOGIN);
	assert_int_equal(check_tokens(NULL, "", verifier, &detail), ERR_OK);
	assert_string_equal(warnings, "");
}

/* As a start does. */
static void a_pin_that_is_none_is_an_error(void **state)
{
	static const char *const table[] = { "TokenTable /tokens", NULL };
	static const char *const single[] = { "PKCS11Module " MODULE, "PKCS11PinSource file:/pin",
					      NULL };
	struct err_detail detail = { "" };

	(void)state;
	assert_int_equal(check_tokens("# none\na pkcs11:?module-path=" MODULE
				      "&pin-source=file:/pin\n",
				      "\n", table, &detail),
			 ERR_SYNTAX);
	assert_string_equal(detail.text,
			    "/tokens:2: token 'a': PIN from /pin: the PIN is empty: one "
			    "line with it is wanted");
	assert_int_equal(check_tokens(NULL, "", single, &detail), ERR_SYNTAX);
	assert_string_equal(detail.text,
			    "PKCS11PinSource: PIN from /pin: the PIN is empty: one line "
			    "with it is wanted");
	assert_int_equal(check_tokens(NULL, "1234", single, &detail), ERR_OK);
	assert_string_equal(warnings, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_file_without_a_usable_key_is_refused),
		cmocka_unit_test(a_key_file_is_judged_by_the_settings),
		cmocka_unit_test(a_module_that_is_none_and_a_login_without_pin_are_doubted),
		cmocka_unit_test(a_pin_that_is_none_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
