/* signer/keyring: which key a name means, and what a load tells of its tokens. */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "config/faults.h"
#include "signer/keyring.h"

static const struct pin_memory no_memory = { .notes = NULL };

static void put(struct files *f, const char *path, const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "%s", text) == (int)strlen(text));
	assert_int_equal(files_put(f, path, fd), ERR_OK);
}

static void set(struct settings *s, const char *name, const char *value)
{
	assert_int_equal(settings_set(s, slice_str(name), slice_str(value), NULL, NULL), ERR_OK);
}

static struct keyring *ring_with(const char *rows)
{
	struct settings *s = settings_new();
	struct files *f = files_new_closed();
	struct keyring *ring = NULL;

	put(f, "/keys", rows);
	set(s, "KeyTable", "file:/keys");
	assert_int_equal(keyring_new(1, s, f, NULL, &no_memory, &ring, NULL), ERR_OK);
	return ring;
}

static struct signkey *find(struct keyring *ring, const char *name, const char *from_domain)
{
	struct signkey *key = NULL;

	assert_int_equal(keyring_find(ring, slice_str(name), slice_str(from_domain), &key, NULL),
			 ERR_OK);
	return key;
}

static bool count_key(void *ctx, const struct keyring_view *view)
{
	(void)view;
	++*(unsigned *)ctx;
	return true;
}

/* Else each spelling would have its own TokenRateLimit, and be on no list of keys. */
static void a_key_is_one_in_all_spellings_of_its_name(void **state)
{
	static const char *const spellings[] = {
		"xn--bcher-kva.example",
		"Xn--Bcher-KVA.example",
		"B\u00dcCHER.example",
	};
	static const char own[] = "b\u00fccher.example";
	AUTO(keyring_unref)
	struct keyring *ring = ring_with("b\u00fccher.example example.com:s:/no/such/file\n");
	AUTO(signkey_unref) struct signkey *key = find(ring, own, "example.com");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		AUTO(signkey_unref)
		struct signkey *same = find(ring, spellings[i], "example.com");
		unsigned seen = 0;

		assert_ptr_equal(same, key);
		assert_string_equal(same->name, own);
		keyring_each(ring, slice_str(spellings[i]), count_key, &seen);
		assert_int_equal(seen, 1);
	}
}

static void a_key_is_one_in_all_spellings_of_the_domain_it_follows(void **state)
{
	AUTO(keyring_unref) struct keyring *ring = ring_with("k %:s:/keys/%\n");
	AUTO(signkey_unref) struct signkey *key = find(ring, "k", "xn--bcher-kva.example");
	AUTO(signkey_unref)
	struct signkey *same = find(ring, "k",
				    "b\xc3\xbc"
				    "cher.example");
	AUTO(signkey_unref) struct signkey *other = find(ring, "k", "other.example");

	(void)state;
	assert_ptr_equal(same, key);
	assert_ptr_not_equal(other, key);
}

/* @return what was gathered: caller faults_done() */
static void load_wrong(bool only_check, const char *keys, const char *tokens,
		       struct faults *ret_faults)
{
	struct settings *s = settings_new();
	struct files *f = files_new_closed();
	AUTO(keyring_unref) struct keyring *ring = NULL;
	struct err_detail detail = { "" };

	faults_init(ret_faults);
	files_gather(f, ret_faults);
	put(f, "/keys", keys);
	put(f, "/tokens", tokens);
	put(f, "/pin1", "two\nlines\n");
	put(f, "/pin2", "");
	set(s, "Mode", "v");
	set(s, "KeyTable", "file:/keys");
	set(s, "TokenTable", "file:/tokens");
	if (only_check) {
		assert_int_not_equal(keyring_check(s, f, NULL, &detail), ERR_OK);
		settings_free(&s);
		files_free(&f);
	} else {
		assert_int_not_equal(keyring_new(1, s, f, NULL, &no_memory, &ring, &detail),
				     ERR_OK);
	}
	assert_true(detail.text[0] != '\0');
}

static void all_bad_pins_are_told_behind_bad_rows(void **state)
{
	static const char tokens[] = "a pkcs11:token=A?module-path=/m.so&pin-source=file:/pin1\n"
				     "b pkcs11:token=B?module-path=/m.so&pin-source=file:/pin2\n";

	(void)state;
	for (unsigned only_check = 0; only_check < 2; only_check++) {
		struct faults faults;

		load_wrong(only_check != 0, "bad\n", tokens, &faults);
		if (strstr(faults.text.data, "/keys:1") == NULL ||
		    strstr(faults.text.data, "/tokens:1: token 'a': ") == NULL ||
		    strstr(faults.text.data, "/tokens:2: token 'b': ") == NULL)
			fail_msg("%s", faults.text.data);
		faults_done(&faults);
		load_wrong(only_check != 0, "", "a b\n", &faults);
		assert_non_null(strstr(faults.text.data, "/tokens:1: token 'a': "));
		faults_done(&faults);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_one_in_all_spellings_of_its_name),
		cmocka_unit_test(a_key_is_one_in_all_spellings_of_the_domain_it_follows),
		cmocka_unit_test(all_bad_pins_are_told_behind_bad_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
