/* tools/keycheck: the verdict on a published key, from answers made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tools/keycheck.h"

/* The key of RFC 8463 appendix A.2, and another one. */
#define P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define OTHER_P "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
#define HEAD "v=DKIM1; k=ed25519; "

static void add_txt(struct dns_answer *a, const char *text)
{
	char data[4096];
	size_t len = 0;
	struct slice rest = slice_str(text);

	do {
		struct slice part = slice_sub(rest, 0, 255);

		data[len++] = (char)part.len;
		memcpy(data + len, part.ptr, part.len);
		len += part.len;
		rest = slice_sub(rest, part.len, rest.len);
	} while (rest.len != 0);
	assert_int_equal(dns_answer_add(a, data, len), ERR_OK);
	a->status = DNS_FOUND;
}

static enum keycheck_id judge(const char *text, bool has_key)
{
	struct keycheck_want want = { has_key, KEY_TYPE_ED25519, SLICE_LIT(P) };
	struct keycheck_result r;
	struct dns_answer a;
	enum keycheck_id id;

	dns_answer_init(&a);
	add_txt(&a, text);
	keycheck_result_init(&r);
	keycheck_answer(&a, &want, &r);
	id = r.id;
	keycheck_result_done(&r);
	dns_answer_done(&a);
	return id;
}

static void records_are_judged(void **state)
{
	static const struct {
		const char *text;
		enum keycheck_id id;
	} vectors[] = {
		{ HEAD "p=" P, KEY_OK },
		{ "k=ed25519;p=" P ";", KEY_OK },
		{ " v = DKIM1 ;\tk=ED25519; p = " P " ; ", KEY_OK },
		{ HEAD "n=\"quoted note\"; p=" P, KEY_OK },
		{ HEAD "t=s; h=sha1 : sha256; s=*; p=" P, KEY_OK },
		{ HEAD "t=y:s; p=" P, KEY_TEST_MODE },
		{ HEAD "p=11qYAYKxCrfVS/7TyWQHOg7hcv PapiMlrwIaaPcHURo=", KEY_BLANKS },
		{ HEAD "p=" OTHER_P, KEY_WRONG },
		{ HEAD "p=11qYAYKxCrfVS/7TyWQ", KEY_CUT },
		{ HEAD "p=" P "AAAA", KEY_BAD_P },
		{ HEAD "p=!!!!", KEY_BAD_P },
		{ HEAD "p=", KEY_REVOKED },
		{ HEAD "p= ", KEY_REVOKED },
		{ HEAD, KEY_NO_P },
		{ "v=DKIM1; k=rsa; p=" P, KEY_BAD_P },
		{ "\"" HEAD "p=" P "\"", KEY_QUOTES },
		{ HEAD "p=11qYAYKxCrfVS\" \"/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", KEY_QUOTES },
		{ "v=DKIM1\\; k=ed25519\\; p=" P, KEY_SEMICOLON_ESCAPED },
		{ HEAD "p=11qYAYKx\\CrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", KEY_BACKSLASH },
		{ "k=ed25519; v=DKIM1; p=" P, KEY_V_NOT_FIRST },
		{ "v=dkim1; k=ed25519; p=" P, KEY_VERSION },
		{ HEAD "h=sha1; p=" P, KEY_NO_SHA256 },
		{ HEAD "s=other; p=" P, KEY_NOT_EMAIL },
		{ "v=DKIM1; k=ec; p=" P, KEY_TYPE_UNKNOWN },
		{ HEAD "p=" P "; p=" P, KEY_SYNTAX },
		{ "v=spf1 -all", KEY_OTHER_RECORD },
		{ "v=DMARC1; p=none", KEY_OTHER_RECORD },
		{ "v=DKIM1 k=ed25519; p=" P, KEY_NO_SEMICOLON },
		{ "v=DKIM1\tp=" P, KEY_NO_SEMICOLON },
		{ "v=DKIM11; p=" P, KEY_VERSION },
		{ "hello", KEY_SYNTAX },
		{ "", KEY_SYNTAX },
		{ HEAD ";; p=" P, KEY_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
		if (judge(vectors[i].text, true) != vectors[i].id)
			fail_msg("%s: %s", vectors[i].text,
				 keycheck_info(judge(vectors[i].text, true))->code);
}

static void without_a_key_only_the_record_counts(void **state)
{
	(void)state;
	assert_int_equal(judge(HEAD "p=" OTHER_P, false), KEY_NOT_COMPARED);
	assert_int_equal(judge(HEAD "p=11qYAYKxCrfVS/7TyWQ", false), KEY_BAD_P);
	assert_int_equal(judge(HEAD "p=", false), KEY_REVOKED);
}

static void record_of_255_octets_without_a_key_was_cut(void **state)
{
	char text[256];

	(void)state;
	(void)snprintf(text, sizeof(text), "v=DKIM1; k=rsa; p=%0*d", 255 - 18, 1);
	assert_int_equal(strlen(text), 255);
	assert_int_equal(judge(text, false), KEY_CUT);
}

static void each_dns_status_has_a_verdict(void **state)
{
	struct keycheck_want want = { .has_key = false };

	(void)state;
	for (int s = DNS_NXDOMAIN; s < DNS_STATUS_COUNT; s++) {
		struct dns_answer a = { .status = (enum dns_status)s };
		struct keycheck_result r;

		keycheck_result_init(&r);
		keycheck_answer(&a, &want, &r);
		assert_int_equal(keycheck_info(r.id)->exit_status, EX_UNAVAILABLE);
		keycheck_result_done(&r);
	}
}

static void several_records_are_a_fault_but_each_is_searched(void **state)
{
	struct keycheck_want want = { true, KEY_TYPE_ED25519, SLICE_LIT(P) };
	struct keycheck_result r;
	struct dns_answer a;
	struct dns_answer b;

	(void)state;
	dns_answer_init(&a);
	dns_answer_init(&b);
	add_txt(&a, HEAD "p=" OTHER_P);
	add_txt(&a, HEAD "p=" P);
	add_txt(&b, HEAD "p=" P);
	keycheck_result_init(&r);
	keycheck_answer(&a, &want, &r);
	assert_int_equal(r.id, KEY_SEVERAL);
	assert_true(keycheck_holds(&a, SLICE_LIT(P)));
	assert_false(keycheck_holds(&b, SLICE_LIT(OTHER_P)));
	assert_false(keycheck_same(&a, &b));
	add_txt(&b, HEAD "p=" OTHER_P);
	assert_true(keycheck_same(&a, &b));
	keycheck_result_done(&r);
	dns_answer_done(&a);
	dns_answer_done(&b);
}

static void txt_data_that_runs_over_its_end_is_refused(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(dns_txt_join(SLICE_LIT("\x02"
						"ab\x00\x01"
						"c"),
				      &out, NULL),
			 ERR_OK);
	assert_string_equal(out.data, "abc");
	assert_int_equal(dns_txt_join(SLICE_LIT("\x03"
						"ab"),
				      &out, NULL),
			 ERR_SYNTAX);
	assert_int_equal(dns_txt_join(SLICE_LIT("\x01"), &out, NULL), ERR_SYNTAX);
	buf_done(&out);
}

/* Good, an empty one, too long, no TXT data, good. */
static void records_that_are_no_keys_leave_the_others(void **state)
{
	static const struct slice data[] = { SLICE_INIT("\x01"
							"a"),
					     SLICE_INIT(""),
					     SLICE_INIT("\x04"
							"long"),
					     SLICE_INIT("\x05"
							"x"),
					     SLICE_INIT("\x01"
							"b"
							"\x02"
							"cd") };
	struct arena *arena = arena_new(65536);
	struct dns_texts texts;
	struct dns_answer answer;

	(void)state;
	dns_answer_init(&answer);
	for (size_t i = 0; i < ARRAY_LEN(data); i++)
		assert_int_equal(dns_answer_add(&answer, data[i].ptr, data[i].len), ERR_OK);
	assert_int_equal(dns_txt_texts(&answer, 3, arena, &texts), ERR_OK);
	assert_int_equal(texts.count, 3);
	assert_false(texts.too_large);
	assert_true(slice_eq(texts.list[0], SLICE_LIT("a")));
	assert_int_equal(texts.list[1].len, 0);
	assert_true(slice_eq(texts.list[2], SLICE_LIT("bcd")));
	answer.too_many = true;
	assert_int_equal(dns_txt_texts(&answer, 3, arena, &texts), ERR_OK);
	assert_true(texts.too_large);
	assert_int_equal(texts.count, 0);
	dns_answer_done(&answer);

	dns_answer_init(&answer);
	for (size_t i = 3; i >= 2;
	     i--) { /* without anything good: the data, then the length tells */
		assert_int_equal(dns_answer_add(&answer, data[i].ptr, data[i].len), ERR_OK);
		assert_int_equal(dns_txt_texts(&answer, 3, arena, &texts), ERR_OK);
		assert_int_equal(texts.count, 0);
		assert_int_equal(texts.too_large, i == 2);
	}
	dns_answer_done(&answer);
	arena_free(&arena);
}

static void names_are_read_within_their_data(void **state)
{
	char text[DNS_NAME_TEXT_MAX];
	size_t used = 0;

	(void)state;
	assert_int_equal(dns_name_text(SLICE_LIT("\x02"
						 "ns\x03"
						 "com\x00rest"),
				       text, &used),
			 ERR_OK);
	assert_string_equal(text, "ns.com");
	assert_int_equal(used, 8);
	assert_int_equal(dns_name_text(SLICE_LIT("\x02"
						 "ns\x03"
						 "com"),
				       text, NULL),
			 ERR_SYNTAX);
	assert_int_equal(dns_name_text(SLICE_LIT("\x40"), text, NULL), ERR_SYNTAX);
	assert_int_equal(dns_name_text(SLICE_LIT("\xc0\x0c"), text, NULL), ERR_SYNTAX);
	assert_int_equal(dns_name_text(SLICE_LIT("\x03"
						 "a\nb\x00"),
				       text, NULL),
			 ERR_SYNTAX);
	assert_int_equal(dns_name_text(SLICE_LIT(""), text, NULL), ERR_SYNTAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_judged),
		cmocka_unit_test(without_a_key_only_the_record_counts),
		cmocka_unit_test(record_of_255_octets_without_a_key_was_cut),
		cmocka_unit_test(each_dns_status_has_a_verdict),
		cmocka_unit_test(several_records_are_a_fault_but_each_is_searched),
		cmocka_unit_test(txt_data_that_runs_over_its_end_is_refused),
		cmocka_unit_test(records_that_are_no_keys_leave_the_others),
		cmocka_unit_test(names_are_read_within_their_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
