/* dkim/reportrec: what a reporting record asks for, and records that are made to hurt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/limits.h"
#include "dkim/reportrec.h"

#define SIXTY_FOUR "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void what_is_asked_for(void **state)
{
	static const struct {
		const char *text;
		const char *local;
		unsigned percent;
		unsigned kinds;
	} rows[] = {
		{ "ra=dkim", "dkim", 100, REPORTREC_ALL },
		{ "ra=dkim;", "dkim", 100, REPORTREC_ALL },
		{ "v=DKIM1; ra=dkim-reports; rp=25; rr=v:x", "dkim-reports", 25,
		  REPORTREC_VERIFY | REPORTREC_EXPIRED },
		{ " ra = a.b+c_d=3D1 ; rr = S : d ", "a.b+c_d=1", 100,
		  REPORTREC_SYNTAX | REPORTREC_DNS },
		{ "ra=a; rr=all:v", "a", 100, REPORTREC_ALL },
		{ "ra=a; rr=o:p:u", "a", 100,
		  REPORTREC_OTHER | REPORTREC_POLICY | REPORTREC_UNKNOWN },
		{ "ra=a; rr=nonsense", "a", 100, 0 },
		{ "ra=a; rr=", "a", 100, 0 },
		{ "ra=a; rp=0", "a", 0, REPORTREC_ALL },
		{ "ra=a; rs=go=20away; unknown=x", "a", 100, REPORTREC_ALL },
		{ "ra=" SIXTY_FOUR, SIXTY_FOUR, 100, REPORTREC_ALL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reportrec record;

		if (!reportrec_parse(slice_str(rows[i].text), &record))
			fail_msg("refused: %s", rows[i].text);
		assert_string_equal(record.local, rows[i].local);
		assert_int_equal(record.percent, rows[i].percent);
		assert_int_equal(record.kinds, rows[i].kinds);
	}
}

static void what_asks_for_nothing(void **state)
{
	static const char *const rows[] = {
		"",
		"v=spf1 -all",
		"rr=all",
		"ra=",
		"ra=a; ra=b",
		"ra=a; rp=101",
		"ra=a; rp=-1",
		"ra=a; rp=1x",
		"ra=a; rp=",
		"ra=a; rp=18446744073709551617",
		"RA=a",
		/* no mailbox of the domain, or none that is plain */
		"ra=a@example.net",
		"ra=a=40example.net",
		"ra=a=2Cb",
		"ra=a=0D=0ABcc:b",
		"ra=a=00",
		"ra=a b=20c",
		"ra==22a=22",
		"ra=a=3",
		"ra=a=zz",
		"ra=-bs",
		"ra=.a",
		"ra=a.",
		"ra=a..b",
		"ra=|sh",
		"ra=/etc/passwd",
		"ra=a%b",
		"ra=a!b",
		"ra=<a>",
		"ra=a(b)",
		"ra=\303\244",
		"ra=\001",
	};
	struct reportrec record;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (reportrec_parse(slice_str(rows[i]), &record))
			fail_msg("taken: %s", rows[i]);
	assert_false(reportrec_parse(SLICE_LIT("ra=" SIXTY_FOUR "x"), &record));
}

static void too_long(void **state)
{
	size_t len = LIMIT_KEY_RECORD_BYTES + 1;
	char *text = malloc(len);
	struct reportrec record;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	for (size_t i = 0; i < 4; i++)
		text[i] = "ra=a"[i];
	assert_false(reportrec_parse(slice_of(text, len), &record));
	assert_true(reportrec_parse(slice_of(text, len - 1), &record));
	free(text);
}

/* What passes by itself, is ours, or is no failure, is never reported; all others are of one kind
 * at least. */
static void every_failure_has_a_kind(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DKIM_REASON_COUNT; i++) {
		enum dkim_reason reason = (enum dkim_reason)i;
		enum dkim_result result = dkim_reason_result(reason);
		bool reported = result != DKIM_RESULT_PASS && result != DKIM_RESULT_NEUTRAL &&
				result != DKIM_RESULT_TEMPERROR;

		if ((reportrec_kind_of(reason) != 0) != reported)
			fail_msg("%s", dkim_reason_text(reason));
	}
	assert_int_equal(reportrec_kind_of(DKIM_REASON_BODY_CHANGED), REPORTREC_VERIFY);
	assert_int_equal(reportrec_kind_of(DKIM_REASON_SIG_EXPIRED), REPORTREC_EXPIRED);
	assert_int_equal(reportrec_kind_of(DKIM_REASON_KEY_NOT_FOUND), REPORTREC_DNS);
	assert_int_equal(reportrec_kind_of(DKIM_REASON_KEY_SMALL), REPORTREC_POLICY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_for),
		cmocka_unit_test(what_asks_for_nothing),
		cmocka_unit_test(too_long),
		cmocka_unit_test(every_failure_has_a_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
