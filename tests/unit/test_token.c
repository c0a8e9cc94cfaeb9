/* pkcs11/token*: real keys on a real SoftHSM token: found, audited, signed with, verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pkcs11/token.h"
#include "softhsm.h"

#define KEYS                                                                                       \
	"rsa1024=rsa:1024 rsa2048=rsa:2048 rsa4096=rsa:4096 ed=ed25519 dup=rsa:1024,id=0a "        \
	"dup=rsa:1024,id=0b bare=rsa:1024,no-public edbare=ed25519,no-public "                     \
	"leaky=rsa:1024,extractable plain=rsa:1024,insensitive each=rsa:1024,always-auth"

static struct softhsm hsm;
static struct p11_uri *dkim_uri;

static const char message[] = "from:a@example.org\r\ndkim-signature:v=1; b=";

static struct p11_uri *key_uri(const char *text)
{
	struct p11_uri *uri = NULL;

	assert_int_equal(p11_uri_parse(slice_str(text), P11_URI_KEY, &uri, NULL), ERR_OK);
	return uri;
}

static int start(void **state)
{
	char import[512];

	(void)state;
	if (!softhsm_new(&hsm, "dkim", KEYS) || !softhsm_add_token(&hsm, "second", "solo=rsa:1024"))
		return -1;
	/* One key pair twice under one label, as after a restore. */
	(void)snprintf(
		import, sizeof(import),
		"cd %s && openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out "
		"twin.pem 2>/dev/null && for id in 1a 1b; do softhsm2-util --import twin.pem "
		"--token dkim --label twin --id $id --pin $(cat pin) >/dev/null || exit 1; done",
		hsm.dir);
	if (softhsm_run(import) != 0 || !softhsm_load(&hsm))
		return -1;
	return p11_uri_parse(SLICE_LIT("pkcs11:token=dkim"), P11_URI_TOKEN, &dkim_uri, NULL) ==
			       ERR_OK
		       ? 0
		       : -1;
}

static int stop(void **state)
{
	(void)state;
	p11_uri_free(&dkim_uri);
	softhsm_free(&hsm);
	return 0;
}

static struct token *new_token(void)
{
	const struct token_config config = {
		.name = "A", .module_path = hsm.module_path, .uri = dkim_uri, .pin = hsm.pin
	};
	struct token *token = NULL;

	assert_int_equal(token_new(&config, &token), ERR_OK);
	return token;
}

/* A token with one session for a test. */
struct fixture {
	struct token *token;
	struct token_session *session;
};

static void begin(struct fixture *f)
{
	struct err_detail detail = { "" };

	f->token = new_token();
	f->session = NULL;
	if (token_session_open(f->token, &f->session, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
}

static void end(struct fixture *f)
{
	token_session_close(&f->session);
	token_free(&f->token);
}

static struct token_key *open_key(const struct fixture *f, const char *text)
{
	AUTO(p11_uri_free) struct p11_uri *uri = key_uri(text);
	struct err_detail detail = { "" };
	struct token_key *key = NULL;

	if (token_key_open(f->session, uri, &key, &detail) != ERR_OK)
		fail_msg("%s: %s", text, detail.text);
	return key;
}

static enum err open_error_or_key(const struct fixture *f, const char *text,
				  struct token_key **ret_key)
{
	AUTO(p11_uri_free) struct p11_uri *uri = key_uri(text);

	return token_key_open(f->session, uri, ret_key, NULL);
}

static enum err open_error(const struct fixture *f, const char *text, struct err_detail *detail)
{
	AUTO(p11_uri_free) struct p11_uri *uri = key_uri(text);
	struct token_key *key = NULL;
	enum err err = token_key_open(f->session, uri, &key, detail);

	assert_null(key);
	return err;
}

static enum err sign(struct token_session *session, const struct token_key *key,
		     unsigned char *signature, size_t *ret_len)
{
	unsigned char digest[32];
	bool reload = false;

	assert_int_equal(EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL), 1);
	return token_key_sign(session, key, dkim_alg_for_key(token_key_info(key)->type),
			      slice_of(digest, sizeof(digest)), slice_of(message, sizeof(message)),
			      signature, ret_len, &reload, NULL);
}

/* OpenSSL's opinion, from the message on: it knows nothing of our DigestInfo. */
static bool openssl_accepts(struct slice spki, enum key_type type, struct slice signature)
{
	const unsigned char *p = (const unsigned char *)spki.ptr;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)spki.len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char digest[32];
	const unsigned char *text = (const unsigned char *)message;
	size_t len = sizeof(message);
	bool ok;

	if (type == KEY_TYPE_ED25519) { /* RFC 8463: the hash is what is signed */
		(void)EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL);
		text = digest;
		len = sizeof(digest);
	}
	ok = EVP_DigestVerifyInit(ctx, NULL, type == KEY_TYPE_RSA ? EVP_sha256() : NULL, NULL,
				  pkey) == 1 &&
	     EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len, text,
			      len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/* --- finding and signing -----------------------------------------------------------------------
 */

static void every_kind_of_key_signs(void **state)
{
	static const struct {
		const char *uri;
		enum key_type type;
		unsigned bits;
		size_t signature_len;
	} rows[] = {
		{ "pkcs11:object=rsa1024", KEY_TYPE_RSA, 1024, 128 },
		{ "pkcs11:token=dkim;object=rsa2048", KEY_TYPE_RSA, 2048, 256 },
		{ "pkcs11:object=rsa4096;type=private", KEY_TYPE_RSA, 4096, 512 },
		{ "pkcs11:object=ed", KEY_TYPE_ED25519, 256, 64 },
		{ "pkcs11:id=%04", KEY_TYPE_ED25519, 256, 64 },
		{ "pkcs11:object=rsa2048;id=%02", KEY_TYPE_RSA, 2048, 256 },
		{ "pkcs11:object=bare", KEY_TYPE_RSA, 1024, 128 }, /* modulus of the private half */
		{ "pkcs11:object=each", KEY_TYPE_RSA, 1024, 128 }, /* PIN for each signature */
	};
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(token_key_free) struct token_key *key = open_key(&f, rows[i].uri);
		unsigned char signature[LIMIT_SIGNATURE_BYTES];
		size_t len = 0;

		assert_int_equal(token_key_info(key)->type, rows[i].type);
		assert_int_equal(token_key_info(key)->bits, rows[i].bits);
		for (int again = 0; again < 3; again++) {
			assert_int_equal(sign(f.session, key, signature, &len), ERR_OK);
			assert_int_equal(len, rows[i].signature_len);
			assert_true(openssl_accepts(pubkey_spki(token_key_pubkey(key)),
						    rows[i].type, slice_of(signature, len)));
		}
	}
	end(&f);
}

static void a_missing_key_says_what_did_match(void **state)
{
	static const struct {
		const char *uri;
		const char *says[3];
	} rows[] = {
		{ "pkcs11:object=rsa2O48;id=%02",
		  { "rsa2O48", "object= alone matches 0", "id= alone 1" } },
		{ "pkcs11:object=rsa2048;id=%7f",
		  { "%7f", "object= alone matches 1", "id= alone 0" } },
		{ "pkcs11:object=nobody", { "nobody", "13", "object=" } },
		{ "pkcs11:id=02", { "id=%30%32", "id=%01 is one byte", "two characters" } },
		{ "pkcs11:token=elsewhere;object=rsa2048",
		  { "another token", "label dkim", "serial " } },
		{ "pkcs11:serial=0;object=rsa2048", { "another token", "label dkim", "serial " } },
	};
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err_detail detail = { "" };

		assert_int_equal(open_error(&f, rows[i].uri, &detail), ERR_KEY_MISSING);
		for (size_t n = 0; n < ARRAY_LEN(rows[i].says); n++) {
			if (strstr(detail.text, rows[i].says[n]) == NULL)
				fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].uri, detail.text,
					 rows[i].says[n]);
		}
	}
	end(&f);
}

/* An idle session shows no private object then, and the list would only look empty. */
static void a_missing_key_says_that_there_was_no_login(void **state)
{
	static const char *const uris[] = { "pkcs11:object=rsa2048",
					    "pkcs11:object=rsa2048;id=%02" };
	const struct token_config config = { .name = "A",
					     .module_path = hsm.module_path,
					     .uri = dkim_uri };
	struct err_detail detail = { "" };
	struct fixture f = { NULL, NULL };

	(void)state;
	assert_int_equal(token_new(&config, &f.token), ERR_OK);
	assert_int_equal(token_session_open(f.token, &f.session, &detail), ERR_OK);
	for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
		assert_int_equal(open_error(&f, uris[i], &detail), ERR_KEY_MISSING);
		assert_non_null(strstr(detail.text, "; not logged in: no PIN source (set "
						    "PKCS11PinSource, or pin-source="));
	}
	end(&f);
	begin(&f);
	assert_int_equal(open_error(&f, "pkcs11:object=nobody", &detail), ERR_KEY_MISSING);
	assert_null(strstr(detail.text, "not logged in"));
	end(&f);
}

static void two_keys_of_one_name_are_both_named(void **state)
{
	struct err_detail detail = { "" };
	struct token_key *first;
	struct token_key *second;
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(open_error(&f, "pkcs11:object=dup", &detail), ERR_AMBIGUOUS);
	assert_non_null(strstr(detail.text, "%0a"));
	assert_non_null(strstr(detail.text, "%0b"));
	first = open_key(&f, "pkcs11:object=dup;id=%0a");
	second = open_key(&f, "pkcs11:object=dup;id=%0b");
	assert_false(pubkey_equal(token_key_pubkey(first), token_key_pubkey(second)));
	token_key_free(&first);
	token_key_free(&second);
	end(&f);
}

static void one_key_twice_is_one_key(void **state)
{
	struct token_key *key;
	struct fixture f;

	(void)state;
	begin(&f);
	key = open_key(&f, "pkcs11:object=twin");
	token_key_free(&key);
	end(&f);
}

static void a_key_made_later_is_found(void **state)
{
	struct err_detail detail = { "" };
	struct token_key *key = NULL;
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(open_error(&f, "pkcs11:object=late", &detail), ERR_KEY_MISSING);
	{
		char command[256];

		(void)snprintf(command, sizeof(command),
			       "PIN=$(cat %s/pin) /usr/bin/python3 " SRCDIR
			       "/softhsm-conf/genkeys.py %s dkim late=rsa:1024,id=2a >/dev/null",
			       hsm.dir, hsm.module_path);
		assert_int_equal(softhsm_run(command), 0);
	}
	/* The index is not read anew for each question. */
	for (int64_t until = clock_mono_ms() + 20000; clock_mono_ms() < until;) {
		if (open_error_or_key(&f, "pkcs11:object=late", &key) == ERR_OK)
			break;
		(void)poll(NULL, 0, 50);
	}
	assert_non_null(key);
	token_key_free(&key);
	end(&f);
}

/* --- audit -------------------------------------------------------------------------------------
 */

static void the_audit_tells_what_it_found(void **state)
{
	static const struct {
		const char *uri;
		bool sensitive;
		bool extractable;
		bool never_extractable;
		bool always_authenticate;
		const char *describe;
	} rows[] = {
		{ "pkcs11:object=rsa2048", true, false, true, false, "RSA 2048 bits" },
		{ "pkcs11:object=ed", true, false, true, false, "Ed25519" },
		{ "pkcs11:object=leaky", true, true, false, false, "extractable" },
		{ "pkcs11:object=plain", false, false, true, false, "NOT sensitive" },
		{ "pkcs11:object=each", true, false, true, true, "PIN for each signature" },
	};
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(token_key_free) struct token_key *key = open_key(&f, rows[i].uri);
		const struct token_key_info *info = token_key_info(key);
		char text[256];

		assert_true(info->is_private);
		assert_false(info->second_use);
		assert_false(info->wants_input);
		assert_int_equal(info->sensitive, rows[i].sensitive);
		assert_int_equal(info->extractable, rows[i].extractable);
		assert_int_equal(info->never_extractable, rows[i].never_extractable);
		assert_int_equal(info->always_authenticate, rows[i].always_authenticate);
		assert_non_null(
			strstr(token_key_describe(key, text, sizeof(text)), rows[i].describe));
	}
	end(&f);
}

static void a_key_without_a_public_half_is_refused(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(open_error(&f, "pkcs11:object=edbare", &detail), ERR_KEY_BAD);
	assert_non_null(strstr(detail.text, "public"));
	end(&f);
}

/* What the private half does not say, the public object does; what neither does, a certificate. */
static CK_OBJECT_CLASS hidden_class; /* objects of it have no public key */
static CK_OBJECT_CLASS hidden_class_too;

static CK_RV hide_numbers(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list,
			  CK_ULONG count)
{
	CK_OBJECT_CLASS class = 0;
	CK_ATTRIBUTE a = { CKA_CLASS, &class, sizeof(class) };

	if ((list->type == CKA_MODULUS || list->type == CKA_PUBLIC_KEY_INFO) &&
	    hsm.real.C_GetAttributeValue(session, object, &a, 1) == CKR_OK &&
	    (class == hidden_class || class == hidden_class_too))
		return CKR_ATTRIBUTE_TYPE_INVALID;
	return hsm.real.C_GetAttributeValue(session, object, list, count);
}

static void put_certificate(void)
{
	char command[1024];

	(void)snprintf(
		command, sizeof(command),
		"cd %s && umask 077 && openssl req -x509 -newkey rsa:1024 -nodes -keyout c.pem "
		"-out c.crt -subj /CN=c 2>/dev/null && openssl x509 -in c.crt -outform DER "
		"-out c.der && PIN=$(cat pin) && export PIN && "
		"softhsm2-util --import c.pem --token dkim --label withcert --id cc "
		"--pin $PIN >/dev/null && pkcs11-tool --module %s --token-label dkim "
		"--login --pin env:PIN --write-object c.der --type cert --id cc "
		"--label withcert >/dev/null",
		hsm.dir, hsm.module_path);
	assert_int_equal(softhsm_run(command), 0);
}

static void the_public_key_comes_from_the_private_half_the_public_one_or_a_certificate(void **state)
{
	static const struct {
		CK_OBJECT_CLASS first;
		CK_OBJECT_CLASS second;
	} hidden[] = {
		{ (CK_OBJECT_CLASS)-1, (CK_OBJECT_CLASS)-1 },
		{ CKO_PRIVATE_KEY, (CK_OBJECT_CLASS)-1 },
		{ CKO_PRIVATE_KEY, CKO_PUBLIC_KEY },
	};
	AUTO(pubkey_free) struct pubkey *first = NULL;
	struct fixture f;

	(void)state;
	put_certificate();
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		AUTO(token_key_free) struct token_key *key = NULL;

		begin(&f);
		hidden_class = hidden[i].first;
		hidden_class_too = hidden[i].second;
		hsm.list->C_GetAttributeValue = hide_numbers;
		key = open_key(&f, "pkcs11:object=withcert");
		softhsm_mend(&hsm);
		if (first == NULL)
			assert_int_equal(
				pubkey_from_spki(pubkey_spki(token_key_pubkey(key)), &first),
				ERR_OK);
		assert_true(pubkey_equal(first, token_key_pubkey(key)));
		end(&f);
	}
}

static void an_algorithm_of_another_type_is_refused(void **state)
{
	static const char digest[32];
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	struct token_key *key;
	bool reload = false;
	struct fixture f;
	size_t len = 0;

	(void)state;
	begin(&f);
	key = open_key(&f, "pkcs11:object=ed");
	assert_int_equal(token_key_sign(f.session, key, DKIM_ALG_RSA_SHA256, slice_of(digest, 32),
					SLICE_LIT(""), signature, &len, &reload, NULL),
			 ERR_KEY_BAD);
	token_key_free(&key);
	end(&f);
}

/* --- which token -------------------------------------------------------------------------------
 */

static enum err open_session(const char *module, const char *uri_text, struct err_detail *detail)
{
	AUTO(p11_uri_free) struct p11_uri *uri = NULL;
	struct token_config config = { .name = "A", .module_path = module, .pin = hsm.pin };
	struct token_session *session = NULL;
	struct token *token = NULL;
	enum err err;

	if (uri_text != NULL)
		assert_int_equal(p11_uri_parse(slice_str(uri_text), P11_URI_TOKEN, &uri, NULL),
				 ERR_OK);
	config.uri = uri;
	assert_int_equal(token_new(&config, &token), ERR_OK);
	err = token_session_open(token, &session, detail);
	token_session_close(&session);
	token_free(&token);
	return err;
}

static void the_token_must_be_one(void **state)
{
	struct err_detail detail = { "" };

	(void)state;
	assert_int_equal(open_session(hsm.module_path, NULL, &detail), ERR_AMBIGUOUS);
	assert_non_null(strstr(detail.text, "token="));
	assert_int_equal(open_session(hsm.module_path, "pkcs11:token=elsewhere", &detail),
			 ERR_TOKEN_ABSENT);
	assert_non_null(strstr(detail.text, "elsewhere"));
	assert_int_equal(open_session(hsm.module_path, "pkcs11:token=second", &detail), ERR_OK);
}

static void what_is_no_module_is_refused(void **state)
{
	static const char *const paths[] = { "/nonexistent/module.so", "/etc/passwd", "module.so",
					     "/lib/x86_64-linux-gnu/libc.so.6" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct err_detail detail = { "" };

		assert_int_equal(open_session(paths[i], "pkcs11:token=t", &detail), ERR_MODULE);
		assert_non_null(strstr(detail.text, paths[i]));
	}
}

/* --- threads -----------------------------------------------------------------------------------
 */

#define THREADS 3
#define ROUNDS 20

struct worker {
	pthread_t thread;
	struct token *token;
	const struct token_key *key;
	bool ok;
};

static void *signing_thread(void *arg)
{
	struct worker *w = arg;
	struct token_session *session = NULL;
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	size_t len;

	w->ok = token_session_open(w->token, &session, NULL) == ERR_OK;
	for (int i = 0; w->ok && i < ROUNDS; i++)
		w->ok = sign(session, w->key, signature, &len) == ERR_OK;
	token_session_close(&session);
	return NULL;
}

static void sessions_sign_side_by_side(void **state)
{
	struct worker workers[THREADS];
	struct token_key *key;
	struct fixture f;

	(void)state;
	begin(&f);
	key = open_key(&f, "pkcs11:object=rsa1024");
	for (size_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .token = f.token, .key = key };
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, signing_thread, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_true(workers[i].ok);
	}
	token_key_free(&key);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_key_signs),
		cmocka_unit_test(a_missing_key_says_what_did_match),
		cmocka_unit_test(a_missing_key_says_that_there_was_no_login),
		cmocka_unit_test(two_keys_of_one_name_are_both_named),
		cmocka_unit_test(one_key_twice_is_one_key),
		cmocka_unit_test(a_key_made_later_is_found),
		cmocka_unit_test(the_audit_tells_what_it_found),
		cmocka_unit_test(a_key_without_a_public_half_is_refused),
		cmocka_unit_test(
			the_public_key_comes_from_the_private_half_the_public_one_or_a_certificate),
		cmocka_unit_test(an_algorithm_of_another_type_is_refused),
		cmocka_unit_test(the_token_must_be_one),
		cmocka_unit_test(what_is_no_module_is_refused),
		cmocka_unit_test(sessions_sign_side_by_side),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
