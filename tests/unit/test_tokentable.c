/* keytable/tokentable: which rows name a token. */
#include "tests/unit/tables.h"

#include "keytable/tokentable.h"

#define URI "pkcs11:token=A?module-path=/m.so"

static enum err load(const char *spec, struct tokentable **ret_table, struct err_detail *detail)
{
	AUTO(files_free) struct files *files = files_new_real();
	struct settings *s = settings_new();
	enum err e;

	assert_non_null(s);
	assert_int_equal(settings_set(s, SLICE_LIT("TokenTable"), slice_str(spec), NULL, detail),
			 ERR_OK);
	e = tokentable_load(s, files, ret_table, detail);
	settings_free(&s);
	return e;
}

static void refused(const char *spec, const char *part)
{
	struct err_detail detail = { "" };
	struct tokentable *t = NULL;

	assert_int_equal(load(spec, &t, &detail), ERR_CONFIG);
	assert_null(t);
	assert_contains(detail.text, part);
}

/* A longer one would be cut off in the note of a PIN, and that PIN sent again. */
static void a_name_has_a_limit(void **state)
{
	char row[TOKENTABLE_NAME_BYTES_MAX + 1 + sizeof(" " URI)];
	struct err_detail detail = { "" };
	struct tokentable *t = NULL;

	(void)state;
	memset(row, 'n', TOKENTABLE_NAME_BYTES_MAX + 1);
	memcpy(row + TOKENTABLE_NAME_BYTES_MAX, " " URI, sizeof(" " URI));
	if (load(table("", row), &t, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
	assert_int_equal(t->count, 1);
	assert_int_equal(strlen(t->rows[0].name), TOKENTABLE_NAME_BYTES_MAX);
	tokentable_free(&t);
	row[TOKENTABLE_NAME_BYTES_MAX] = 'n';
	memcpy(row + TOKENTABLE_NAME_BYTES_MAX + 1, " " URI, sizeof(" " URI));
	refused(table("", row), "a name is one word of at most 255 bytes");
}

static void a_name_is_one_word(void **state)
{
	(void)state;
	refused("csl:a b=" URI, "a name is one word");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_has_a_limit),
		cmocka_unit_test(a_name_is_one_word),
	};

	return cmocka_run_group_tests(tests, tables_setup, tables_teardown);
}
