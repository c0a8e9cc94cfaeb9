/*
 * The signer process itself, as the supervisor and the milter meet it: generations come in over its
 * control socket, requests over the peer socket; keys are PEM files, PEM texts and a SoftHSM token.
 */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer_world.h"

/* --- fixture -----------------------------------------------------------------------------------
 */

static char pem_path[96];
static char pem_line[4096]; /* "name domain:selector:PEM text", as OpenDKIM writes one */
static char loose_path[96];

static void make_inline_pem(void)
{
	FILE *f = fopen(pem_path, "rb");
	char *at = pem_line + snprintf(pem_line, sizeof(pem_line), "inline i.example:s3:");
	char line[128];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] != '-')
			at += snprintf(at, (size_t)(pem_line + sizeof(pem_line) - at), "%.*s",
				       (int)strcspn(line, "\n"), line);
	}
	(void)fclose(f);
}

static int start(void **state)
{
	char command[512];
	char signer[512];

	(void)state;
	(void)snprintf(signer, sizeof(signer), "%s/hsmdkim-signer", getenv("BIN"));
	(void)setenv("SIGNER", signer, 1);
	if (!softhsm_new(&hsm, "dkim", "rsa=rsa:2048 ed=ed25519 small=rsa:1024"))
		return -1;
	(void)snprintf(pem_path, sizeof(pem_path), "%s/key.pem", hsm.dir);
	(void)snprintf(loose_path, sizeof(loose_path), "%s/loose.pem", hsm.dir);
	(void)snprintf(
		command, sizeof(command),
		"umask 077; openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "
		"%s 2>/dev/null && cp %s %s && chmod 644 %s",
		pem_path, pem_path, loose_path, loose_path);
	if (softhsm_run(command) != 0)
		return -1;
	make_inline_pem();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

static const char *keytable_with(const char *more)
{
	static char text[8192];

	(void)snprintf(text, sizeof(text), "file f.example:s1:%s\n%s\n%s\n", pem_path, pem_line,
		       more);
	return text;
}

#define TOKEN_ROWS                                                                                 \
	"rsa r.example:s1:pkcs11:object=rsa\n"                                                     \
	"ed %:s2:pkcs11:token=dkim;object=ed\n"                                                    \
	"missing m.example:s1:pkcs11:object=nobody\n"

/* --- keys --------------------------------------------------------------------------------------
 */

static void key_files_and_texts_sign(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	assert_signs(&w, "file");
	assert_signs(&w, "inline");
	assert_int_equal(open_key(&w, "file", &key, NULL), ERR_OK);
	assert_string_equal(key->domain, "f.example");
	assert_string_equal(key->selector, "s1");
	assert_int_equal(key->bits, 2048);
	sigkey_unref(&key);
	end(&w);
}

static void token_keys_sign(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_signs(&w, "ed");
	assert_signs(&w, "file");
	assert_int_equal(open_key(&w, "ed", &key, NULL), ERR_OK);
	assert_string_equal(key->domain, "from.example"); /* "%" */
	assert_int_equal(key->alg, DKIM_ALG_ED25519_SHA256);
	sigkey_unref(&key);
	end(&w);
}

static void what_is_wrong_with_one_key_is_said_and_hurts_no_other(void **state)
{
	static const struct {
		const char *name;
		enum err error;
		const char *says;
		const char *domain;
	} rows[] = {
		{ "nobody", ERR_KEY_UNKNOWN, "nobody", "" },
		{ "missing", ERR_KEY_MISSING, "object=nobody", "m.example" },
		{ "loose", ERR_FILE_UNSAFE, "chmod", "l.example" },
		{ "gone", ERR_KEY_MISSING, "/nonexistent/key.pem", "g.example" },
	};
	char more[1024];
	struct world w;

	(void)state;
	(void)snprintf(more, sizeof(more),
		       "%sloose l.example:s1:%s\ngone g.example:s1:/nonexistent/key.pem\n",
		       TOKEN_ROWS, loose_path);
	begin(&w, keytable_with(more), true);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err_detail detail = { "" };
		struct sigkey *key = NULL;

		assert_int_equal(open_key(&w, rows[i].name, &key, &detail), rows[i].error);
		assert_null(key);
		if (strstr(detail.text, rows[i].says) == NULL)
			fail_msg("%s: \"%s\"", rows[i].name, detail.text);
		assert_string_equal(last_names.domain, rows[i].domain);
		assert_string_equal(last_names.selector, rows[i].domain[0] != '\0' ? "s1" : "");
		assert_signs(&w, "file");
		assert_signs(&w, "rsa");
	}
	end(&w);
}

static void another_fingerprint_is_not_signed_for(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(open_key(&w, i == 0 ? "rsa" : "file", &key, NULL), ERR_OK);
		key->fingerprint[5] ^= 1;
		assert_int_equal(sign(&w, key), ERR_KEY_CHANGED);
		key->fingerprint[5] ^= 1;
		sigkey_unref(&key);
	}
	end(&w);
}

/* --- generations -------------------------------------------------------------------------------
 */

static void a_bad_table_is_refused_and_the_old_one_goes_on(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	assert_int_equal(load(&w, "file f.example\n", false, ""), HANDOVER_FAILED);
	assert_non_null(strstr(w.msg.text, "/tables/keys:1"));
	assert_int_equal(handover_send(w.control, HANDOVER_ABORT, w.generation, NULL, -1), ERR_OK);
	w.generation--;
	assert_signs(&w, "file");
	end(&w);
}

static void a_reload_switches_and_the_generation_before_still_answers(void **state)
{
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_int_equal(load(&w, "new n.example:s9:pkcs11:object=rsa\n", true, right_pin()),
			 HANDOVER_LOADED);
	commit(&w);
	assert_signs(&w, "new");
	assert_int_equal(open_key(&w, "rsa", &key, NULL), ERR_KEY_UNKNOWN);
	w.generation--; /* a message that began before */
	assert_signs(&w, "rsa");
	end(&w);
}

static void make_key(const char *label)
{
	char command[512];

	(void)snprintf(command, sizeof(command),
		       "PIN=$(cat %s/pin) /usr/bin/python3 " SRCDIR
		       "/softhsm-conf/genkeys.py %s dkim %s=ed25519,id=77 >/dev/null",
		       hsm.dir, hsm.module_path, label);
	assert_int_equal(softhsm_run(command), 0);
}

/* The milter may switch a moment before the signer process hears COMMIT. */
static void a_key_made_before_the_reload_signs_from_loaded_on(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	make_key("made");
	assert_signs(&w, "rsa");
	assert_int_equal(load(&w, "made n.example:s9:pkcs11:object=made\n", true, right_pin()),
			 HANDOVER_LOADED);
	assert_signs(&w, "made");
	commit(&w);
	assert_signs(&w, "made");
	end(&w);
}

#define MANY_ROWS 400000u
#define MANY_ROWS_BYTES ((size_t)MANY_ROWS * 40)

static char *many_rows(void)
{
	char *text = malloc(MANY_ROWS_BYTES);
	size_t len = 0;

	assert_non_null(text);
	for (unsigned i = 0; i < MANY_ROWS; i++)
		len += (size_t)snprintf(text + len, MANY_ROWS_BYTES - len, "k%u d.example:s:/k\n",
					i);
	return text;
}

static void signatures_do_not_wait_for_tables_that_are_read(void **state)
{
	char *rows = many_rows();
	struct sigkey *key = NULL;
	unsigned signatures = 0;
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	assert_int_equal(open_key(&w, "file", &key, NULL), ERR_OK);
	send_load(&w, rows, false, "");
	w.generation--;
	while (poll(&(struct pollfd){ .fd = w.control, .events = POLLIN }, 1, 0) == 0) {
		assert_int_equal(sign(&w, key), ERR_OK);
		signatures++;
	}
	w.generation++;
	assert_int_equal(next_message(&w), HANDOVER_LOADED);
	assert_true(signatures > 4); /* one or two may come before and after */
	commit(&w);
	sigkey_unref(&key);
	free(rows);
	end(&w);
}

static void a_milter_that_was_restarted_is_served(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	for (int i = 0; i < 3; i++) {
		connect_milter(&w);
		assert_signs(&w, "file");
	}
	end(&w);
}

/* --- PINs --------------------------------------------------------------------------------------
 */

/* Notes that wait in the socket. @return how many are kept by now */
static size_t take_notes(struct world *w)
{
	struct handover_msg msg = { .fd = -1 };

	while (handover_recv(w->control, 0, &msg) == ERR_OK) {
		assert_int_equal(msg.type, HANDOVER_NOTE);
		notes_put(&w->notes, msg.text);
		msg.text = NULL;
		handover_msg_done(&msg);
	}
	return w->notes.count;
}

static void a_refused_pin_is_noted_and_key_files_go_on(void **state)
{
	struct err_detail detail = { "" };
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	start_process(&w);
	assert_int_equal(load(&w, keytable_with(TOKEN_ROWS), true, "wrong"), HANDOVER_LOADED);
	commit(&w);
	assert_int_equal(next_message(&w), HANDOVER_READY);
	connect_milter(&w);
	assert_int_equal(open_key(&w, "rsa", &key, &detail), ERR_TOKEN_PIN);
	assert_int_equal(take_notes(&w), 1);
	assert_non_null(strstr(w.notes.texts[0], "pin-refused "));
	assert_null(strstr(w.notes.texts[0], "wrong"));
	assert_int_equal(open_key(&w, "rsa", &key, &detail), ERR_TOKEN_PIN);
	assert_non_null(strstr(detail.text, "reload"));
	assert_signs(&w, "file");
	/* The operator mends it. (With a key that is missing the process would start anew.) */
	assert_int_equal(
		load(&w, keytable_with("rsa r.example:s1:pkcs11:object=rsa\n"), true, right_pin()),
		HANDOVER_LOADED);
	commit(&w);
	assert_signs(&w, "rsa");
	end(&w);
}

/* What an earlier process would have said of this PIN; the name is the one that we use. */
static void note_of_before(struct world *w, const char *note, const char *kind, const char *count)
{
	char token[64];
	char salt[64];
	char hash[96];
	char text[256];

	assert_int_equal(sscanf(note, "%*s %63s %63s %95s", token, salt, hash), 3);
	(void)snprintf(text, sizeof(text), "%s %s %s %s%s", kind, token, salt, hash, count);
	assert_int_equal(handover_send(w->control, HANDOVER_NOTE, 0, text, -1), ERR_OK);
}

static void a_login_that_succeeds_leaves_no_note(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_int_equal(take_notes(&w), 0);
	end(&w);
}

/* A process that ended in C_Login leaves the note of the attempt; "wrong" is not even tried then,
 * or the answer would be CKR_PIN_INCORRECT. */
static void attempts_that_ended_a_process_count_in_the_next(void **state)
{
	static const struct {
		const char *kind;
		const char *count;
		enum err error;
		const char *says;
	} rows[] = {
		{ "pin-refused", "", ERR_TOKEN_PIN, "refused before" },
		{ "pin-tried", " 1", ERR_TOKEN_FAILED, "no clear answer" },
		{ "pin-tried", " 2", ERR_TOKEN_PIN, "2 logins had no clear answer" },
		{ "pin-tried", " 99999999999999", ERR_TOKEN_PIN, "no clear answer" },
		{ "pin-other", " 2", ERR_TOKEN_PIN, "CKR_PIN_INCORRECT" },
	};
	char note[256] = "";

	(void)state;
	for (size_t i = 0; i <= ARRAY_LEN(rows); i++) {
		struct err_detail detail = { "" };
		struct sigkey *key = NULL;
		struct world w;

		start_process(&w);
		if (i > 0)
			note_of_before(&w, note, rows[i - 1].kind, rows[i - 1].count);
		assert_int_equal(load(&w, keytable_with(TOKEN_ROWS), true, "wrong"),
				 HANDOVER_LOADED);
		commit(&w);
		assert_int_equal(next_message(&w), HANDOVER_READY);
		connect_milter(&w);
		assert_int_equal(open_key(&w, "rsa", &key, &detail),
				 i > 0 ? rows[i - 1].error : ERR_TOKEN_PIN);
		(void)take_notes(&w);
		if (i > 0 && strstr(detail.text, rows[i - 1].says) == NULL)
			fail_msg("%s%s: %s", rows[i - 1].kind, rows[i - 1].count, detail.text);
		if (i == 0)
			(void)snprintf(note, sizeof(note), "%s", w.notes.texts[0]);
		end(&w);
	}
}

/* The token looks at no PIN while a session of the tables before keeps its login. */
static void a_wrong_pin_of_a_reload_is_found_out(void **state)
{
	int64_t until = clock_mono_ms() + PATIENCE_MS;
	struct err_detail detail = { "" };
	struct sigkey *key = NULL;
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_int_equal(load(&w, keytable_with(TOKEN_ROWS), true, "wrong"), HANDOVER_LOADED);
	commit(&w);
	while (take_notes(&w) == 0 || strstr(w.notes.texts[0], "pin-refused ") == NULL) {
		assert_true(clock_mono_ms() < until); /* nobody has asked for anything */
		(void)poll(NULL, 0, 10);
	}
	assert_int_equal(open_key(&w, "rsa", &key, &detail), ERR_TOKEN_PIN);
	assert_signs(&w, "file");
	w.generation--; /* a message that began before: its tables have the right one */
	assert_signs(&w, "rsa");
	end(&w);
}

/* --- end ---------------------------------------------------------------------------------------
 */

static void stop_is_an_orderly_exit(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(TOKEN_ROWS), true);
	assert_signs(&w, "rsa");
	assert_int_equal(handover_send(w.control, HANDOVER_STOP, 0, NULL, -1), ERR_OK);
	assert_int_equal(exit_status(&w), SIGNER_EXIT_OK);
	end(&w);
}

static void it_does_not_outlive_its_supervisor(void **state)
{
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	(void)close(w.control);
	w.control = -1;
	assert_int_equal(exit_status(&w), SIGNER_EXIT_LOST);
	end(&w);
}

static void nonsense_of_the_milter_is_dropped(void **state)
{
	int pair[2];
	struct world w;

	(void)state;
	begin(&w, keytable_with(""), false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(handover_send(w.control, HANDOVER_PEER, 0, NULL, pair[1]), ERR_OK);
	(void)close(pair[1]);
	for (int i = 0; i < 100; i++)
		assert_int_equal(send(pair[0], "nonsense", 8, MSG_NOSIGNAL), 8);
	(void)close(pair[0]);
	connect_milter(&w);
	assert_signs(&w, "file");
	end(&w);
}

static void it_refuses_to_run_by_hand(void **state)
{
	char command[600];

	(void)state;
	(void)snprintf(command, sizeof(command), "\"$SIGNER\" 3<&- 2>/dev/null");
	assert_int_equal(softhsm_run(command), 64);
}

/* A milter that was taken over may ask by any of the many spellings of a domain. */
static void the_rate_of_a_key_is_one_for_all_spellings_of_its_name(void **state)
{
	static const char *const names[] = { "xn--bcher-kva.example", "Xn--bcher-kva.example",
					     "xn--BCHER-kva.example" };
	struct sigkey *key = NULL;
	char text[256];
	struct world w;

	(void)state;
	(void)snprintf(text, sizeof(text), "xn--bcher-kva.example f.example:s1:%s\n", pem_path);
	rate_limit = "2/1h";
	begin(&w, text, false);
	rate_limit = NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(open_key(&w, names[i], &key, NULL), ERR_OK);
		assert_int_equal(sign(&w, key), i < 2 ? ERR_OK : ERR_KEY_RATE);
		sigkey_unref(&key);
	}
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_files_and_texts_sign),
		cmocka_unit_test(token_keys_sign),
		cmocka_unit_test(what_is_wrong_with_one_key_is_said_and_hurts_no_other),
		cmocka_unit_test(another_fingerprint_is_not_signed_for),
		cmocka_unit_test(a_bad_table_is_refused_and_the_old_one_goes_on),
		cmocka_unit_test(a_reload_switches_and_the_generation_before_still_answers),
		cmocka_unit_test(a_key_made_before_the_reload_signs_from_loaded_on),
		cmocka_unit_test(signatures_do_not_wait_for_tables_that_are_read),
		cmocka_unit_test(a_milter_that_was_restarted_is_served),
		cmocka_unit_test(a_refused_pin_is_noted_and_key_files_go_on),
		cmocka_unit_test(a_login_that_succeeds_leaves_no_note),
		cmocka_unit_test(attempts_that_ended_a_process_count_in_the_next),
		cmocka_unit_test(a_wrong_pin_of_a_reload_is_found_out),
		cmocka_unit_test(stop_is_an_orderly_exit),
		cmocka_unit_test(it_does_not_outlive_its_supervisor),
		cmocka_unit_test(nonsense_of_the_milter_is_dropped),
		cmocka_unit_test(the_rate_of_a_key_is_one_for_all_spellings_of_its_name),
		cmocka_unit_test(it_refuses_to_run_by_hand),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
