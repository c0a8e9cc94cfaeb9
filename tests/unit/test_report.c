/* report/ and base/json.h: histograms, reports in their forms, and reports that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "base/json.h"
#include "report/histogram.h"
#include "report/prometheus.h"
#include "report/report.h"
#include "report/sections.h"

#define ROOM 65536u

static struct buf out;

static int setup(void **state)
{
	(void)state;
	buf_init(&out, ROOM);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_done(&out);
	return 0;
}

static void assert_out(const char *expected)
{
	struct slice text;

	assert_int_equal(buf_finish(&out, &text), ERR_OK);
	assert_string_equal(text.len > 0 ? text.ptr : "", expected);
}

/* ---- JSON strings ---- */

static void json_strings_are_escaped(void **state)
{
	static const struct {
		struct slice text;
		const char *json;
	} rows[] = {
		{ SLICE_INIT(""), "\"\"" },
		{ SLICE_INIT("plain text"), "\"plain text\"" },
		{ SLICE_INIT("\"\\/"), "\"\\\"\\\\/\"" },
		{ SLICE_INIT("\0\x01\n\t\x1f\x7f"),
		  "\"\\u0000\\u0001\\u000a\\u0009\\u001f\\u007f\"" },
		{ SLICE_INIT("b\xc3\xbc"
			     "cher \xf0\x9f\x94\x91"),
		  "\"b\xc3\xbc"
		  "cher \xf0\x9f\x94\x91\"" },
		{ SLICE_INIT("\xff"
			     "a\xc3"),
		  "\"\\ufffda\\ufffd\"" },
		{ SLICE_INIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"" }, /* a surrogate */
		{ SLICE_INIT("\xc2\x85"), "\"\\ufffd\\ufffd\"" },	     /* a C1 control */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		json_add_string(rows[i].text, &out);
		assert_out(rows[i].json);
	}
}

/* ---- histograms ---- */

static void an_empty_histogram_has_no_quantile(void **state)
{
	static struct histogram h;
	struct histogram_view v = histogram_read(&h);

	(void)state;
	assert_int_equal(v.count, 0);
	assert_int_equal(histogram_quantile_us(&v, 500), 0);
	assert_int_equal(histogram_quantile_us(&v, 1000), 0);
}

static void values_fall_into_their_buckets(void **state)
{
	static const struct {
		uint64_t us;
		unsigned bucket;
	} rows[] = {
		{ 0, 0 },    { 100, 0 },       { 101, 1 },	 { 1000, 3 },
		{ 1001, 4 }, { 20000000, 16 }, { 20000001, 17 }, { UINT64_MAX / 2, 17 },
	};

	(void)state;
	assert_int_equal(HISTOGRAM_BUCKETS, 18);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct histogram h = { .sum_us = 0 };
		struct histogram_view v;

		histogram_add(&h, rows[i].us);
		v = histogram_read(&h);
		assert_int_equal(v.count, 1);
		assert_int_equal(v.buckets[rows[i].bucket], 1);
		assert_true(v.sum_us == rows[i].us);
	}
}

static void quantiles_lie_in_the_right_bucket(void **state)
{
	struct histogram h = { .sum_us = 0 };
	struct histogram_view v;

	(void)state;
	for (unsigned i = 0; i < 990; i++)
		histogram_add(&h, 1500); /* 1000..2000 */
	for (unsigned i = 0; i < 10; i++)
		histogram_add(&h, 400000); /* 200000..500000 */
	v = histogram_read(&h);
	assert_in_range(histogram_quantile_us(&v, 500), 1000, 2000);
	assert_in_range(histogram_quantile_us(&v, 990), 1000, 2000);
	assert_in_range(histogram_quantile_us(&v, 991), 200000, 500000);
	assert_in_range(histogram_quantile_us(&v, 1000), 200000, 500000);
	assert_true(histogram_quantile_us(&v, 10) < histogram_quantile_us(&v, 500));
	for (unsigned i = 0; i < 9000; i++)
		histogram_add(&h, 60000000); /* beyond the last bound */
	v = histogram_read(&h);
	assert_int_equal(histogram_quantile_us(&v, 990), 20000000);
}

static void *add_many(void *h)
{
	for (unsigned i = 0; i < 20000; i++)
		histogram_add(h, i);
	return NULL;
}

static void threads_lose_no_observation(void **state)
{
	static struct histogram h;
	struct histogram_view v;
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, &h), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	v = histogram_read(&h);
	assert_int_equal(v.count, 80000);
	assert_int_equal(v.sum_us, UINT64_C(4) * 20000 * 19999 / 2);
}

/* ---- reports ---- */

static void write_sample(void)
{
	report_section(&out, "=daemon\tversion\t#pid");
	report_text(&out, SLICE_LIT("1.0"));
	report_number(&out, 42);
	report_end_row(&out);
	report_section(&out, "@tokens\tname\t#up\tlast_error");
	report_text(&out, SLICE_LIT("a\tb\n\"c\""));
	report_number(&out, 1);
	report_text(&out, SLICE_LIT(""));
	report_end_row(&out);
	report_text(&out, SLICE_LIT("\xffz"));
	report_unknown(&out);
	report_text(&out, SLICE_LIT("no answer"));
	report_end_row(&out);
	report_section(&out, "@none\tname");
}

static const char *const sample_headers[] = { "=daemon\tversion\t#pid",
					      "@tokens\tname\t#up\tlast_error", "@none\tname",
					      NULL };

static void a_report_is_what_was_written(void **state)
{
	(void)state;
	write_sample();
	assert_out("=daemon\tversion\t#pid\n"
		   "\t1.0\t42\n"
		   "@tokens\tname\t#up\tlast_error\n"
		   "\ta\\x09b\\x0a\"c\"\t1\t\n"
		   "\t\\xffz\t\tno answer\n"
		   "@none\tname\n");
	assert_true(report_is_valid(buf_slice(&out), sample_headers));
}

static void json_of_a_report(void **state)
{
	char text[512];

	(void)state;
	write_sample();
	(void)snprintf(text, sizeof(text), "%s", out.data);
	buf_reset(&out);
	report_to_json(slice_str(text), &out);
	assert_out(
		"{\n  \"daemon\": {\"version\": \"1.0\", \"pid\": 42},\n"
		"  \"tokens\": [\n"
		"    {\"name\": \"a\\\\x09b\\\\x0a\\\"c\\\"\", \"up\": 1, \"last_error\": \"\"},\n"
		"    {\"name\": \"\\\\xffz\", \"up\": null, \"last_error\": \"no answer\"}\n"
		"  ],\n  \"none\": [\n  ]\n}\n");
	buf_reset(&out);
	report_to_json(SLICE_LIT(""), &out);
	assert_out("{\n}\n");
}

static void table_of_a_report(void **state)
{
	char text[512];

	(void)state;
	write_sample();
	(void)snprintf(text, sizeof(text), "%s", out.data);
	buf_reset(&out);
	report_to_table(slice_str(text), &out);
	assert_out("daemon:\n  version  1.0\n  pid      42\n"
		   "\ntokens:\n"
		   "  name           up  last_error\n"
		   "  a\\x09b\\x0a\"c\"  1   -\n"
		   "  \\xffz          -   no answer\n"
		   "\nnone:\n  name\n");
}

static void long_texts_are_left_to_json(void **state)
{
	static const struct slice text =
		SLICE_INIT("@keys\tname\t~detail\t#bits\n\ta\tlong\t1024\n\tb\t\t2\n"
			   "=one\tname\t~detail\n\tc\td\n");
	static const char *const headers[] = { "@keys\tname\t~detail\t#bits", "=one\tname\t~detail",
					       NULL };

	(void)state;
	assert_true(report_is_valid(text, headers));
	buf_reset(&out);
	report_to_table(text, &out);
	assert_out("keys:\n  name  bits\n  a     1024\n  b     2\n\none:\n  name    c\n");
	buf_reset(&out);
	report_to_json(text, &out);
	assert_non_null(
		strstr(out.data, "{\"name\": \"a\", \"detail\": \"long\", \"bits\": 1024}"));
}

static void what_is_no_report_is_refused(void **state)
{
	static const struct slice rows[] = {
		SLICE_INIT("x"),
		SLICE_INIT("\n"),
		SLICE_INIT("ok\n"),
		SLICE_INIT("\tcell\n"),				 /* a row without a section */
		SLICE_INIT("=daemon\tversion\t#pid\n\t1.0\t42"), /* cut */
		SLICE_INIT("=daemon\tversion\t#pid\n"),		 /* no row */
		SLICE_INIT("=daemon\tversion\t#pid\n\ta\t1\n\tb\t2\n"), /* two rows */
		SLICE_INIT("=daemon\tversion\t#pid\n\t1.0\n"),		/* a cell is missing */
		SLICE_INIT("=daemon\tversion\t#pid\n\t1.0\t4\t5\n"),	/* one too many */
		SLICE_INIT("=daemon\tversion\t#pid\n\t1.0\t-4\n"),
		SLICE_INIT("=daemon\tversion\t#pid\n\t1.0\t99999999999999999999\n"),
		SLICE_INIT("=daemon\n\ta\n"),	       /* no columns */
		SLICE_INIT("=processes\tname\n\ta\n"), /* not its business */
		SLICE_INIT("=tokens\tname\n\ta\n"),    /* a list, not an object */
		SLICE_INIT("@none\tname\n\ta\x1b[2J\n"),
		SLICE_INIT("@none\tname\n\ta\r\n"),
		SLICE_INIT("@none\tname\n\ta\0b\n"),
		SLICE_INIT("@none\tname\n\ta\n@none\tname\n\tb\n"), /* twice */
		SLICE_INIT("@none\tname\n@none\tname\n"),
		SLICE_INIT("@none\t#name\n\t1\n"),	   /* another kind of column */
		SLICE_INIT("@none\tname\tname\n\ta\tb\n"), /* one more */
		SLICE_INIT("@tokens\t#up\tname\tlast_error\n\t1\ta\tb\n"), /* another order */
		SLICE_INIT("@tokens\tname\t#up\n\ta\t1\n"),		   /* one is missing */
		SLICE_INIT("@none\tname\t\n\ta\t\n"),
		SLICE_INIT("@tokens\t1\t2\t3\t4\t5\t6\t7\t8\t9\t1\t2\t3\t4\t5\t6\t7\t8\t9\t1\t2\t3"
			   "\t4\t5\t6\t7\t8\t9\t1\t2\t3\t4\t5\t6\n"),
	};

	(void)state;
	assert_true(report_is_valid(SLICE_LIT(""), sample_headers));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_false(report_is_valid(rows[i], sample_headers));
		/* Nobody shows such a text, but if: nothing is read that is not there. */
		buf_reset(&out);
		report_to_json(rows[i], &out);
		report_to_table(rows[i], &out);
		report_to_prometheus(rows[i], &out);
	}
}

/* A cell of 4000 bytes in a million rows of one: aligned, that would be gigabytes. */
static void a_long_cell_does_not_widen_a_million_rows(void **state)
{
	static const char row[] = "\tb\t1\n";
	char cell[4000];
	struct buf text;
	struct buf table;
	struct slice made;

	(void)state;
	memset(cell, 'a', sizeof(cell));
	buf_init(&text, (size_t)16 * 1024 * 1024);
	report_section(&text, "@none\tname\t#n");
	report_text(&text, slice_of(cell, sizeof(cell)));
	report_number(&text, 1);
	report_end_row(&text);
	for (unsigned i = 0; i < 1000000; i++)
		buf_add_str(&text, row);
	buf_init(&table, 10 * text.len);
	report_to_table(buf_slice(&text), &table);
	assert_int_equal(buf_finish(&table, &made), ERR_OK);
	buf_done(&table);
	/* A short table has room for it. */
	text.len = 0;
	report_section(&text, "@none\tname\t#n");
	report_text(&text, slice_of(cell, 100));
	report_number(&text, 1);
	report_end_row(&text);
	buf_add_str(&text, row);
	report_to_table(buf_slice(&text), &out);
	assert_int_equal(buf_finish(&out, &made), ERR_OK);
	assert_int_equal(made.len, strlen("none:\n") + 3 * strlen("    1\n") + 300);
	buf_done(&text);
}

/* ---- metrics ---- */

static void metrics_of_a_report(void **state)
{
	static const char text[] =
		"=milter\t#in_flight\t#seen\t#signed\t#deferred\n\t1\t9\t7\t1\n"
		"@tokens\tname\t#up\t#signatures\n\ta\t1\t7\n\tb \"q\" \\\\\t0\t\n"
		"@failures\tname\tclass\t#count\n\ta\ttoken_timeout\t3\n"
		"@keys\tname\n\texample.com\n";

	(void)state;
	report_to_prometheus(SLICE_LIT(""), &out);
	assert_out("");
	report_to_prometheus(slice_str(text), &out);
	assert_non_null(strstr(out.data, "# TYPE hsmdkim_messages_total counter\n"
					 "hsmdkim_messages_total{class=\"signed\"} 7\n"
					 "hsmdkim_messages_total{class=\"deferred\"} 1\n"));
	assert_non_null(strstr(out.data, "\nhsmdkim_messages_in_flight 1\n"));
	assert_non_null(strstr(out.data, "\nhsmdkim_token_up{token=\"a\"} 1\n"
					 "hsmdkim_token_up{token=\"b \\\"q\\\" \\\\\\\\\"} 0\n"));
	assert_non_null(strstr(out.data, "\nhsmdkim_signatures_total{token=\"a\"} 7\n# "));
	assert_non_null(strstr(
		out.data, "hsmdkim_token_failures_total{token=\"a\",class=\"token_timeout\"} 3\n"));
	assert_null(strstr(out.data, "example.com"));
}

static void histogram_of_a_report(void **state)
{
	static struct histogram h;
	struct histogram_view v;
	struct buf text;

	(void)state;
	histogram_add(&h, 150);
	histogram_add(&h, 1500000);
	histogram_add(&h, 30000000);
	v = histogram_read(&h);
	buf_init(&text, ROOM);
	report_section(&text, SECTION_LATENCY);
	report_text(&text, SLICE_LIT("t"));
	report_number(&text, v.sum_us);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		report_number(&text, v.buckets[i]);
	report_end_row(&text);
	report_to_prometheus(buf_slice(&text), &out);
	buf_done(&text);
	assert_non_null(strstr(out.data, "_bucket{token=\"t\",le=\"0.000100\"} 0\n"));
	assert_non_null(strstr(out.data, "_bucket{token=\"t\",le=\"0.000200\"} 1\n"));
	assert_non_null(strstr(out.data, "_bucket{token=\"t\",le=\"2.000000\"} 2\n"));
	assert_non_null(strstr(out.data, "_bucket{token=\"t\",le=\"20.000000\"} 2\n"));
	assert_non_null(strstr(out.data, "_bucket{token=\"t\",le=\"+Inf\"} 3\n"
					 "hsmdkim_signature_seconds_sum{token=\"t\"} 31.500150\n"
					 "hsmdkim_signature_seconds_count{token=\"t\"} 3\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(json_strings_are_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_histogram_has_no_quantile, setup,
						teardown),
		cmocka_unit_test_setup_teardown(values_fall_into_their_buckets, setup, teardown),
		cmocka_unit_test_setup_teardown(quantiles_lie_in_the_right_bucket, setup, teardown),
		cmocka_unit_test_setup_teardown(threads_lose_no_observation, setup, teardown),
		cmocka_unit_test_setup_teardown(a_report_is_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(json_of_a_report, setup, teardown),
		cmocka_unit_test_setup_teardown(table_of_a_report, setup, teardown),
		cmocka_unit_test_setup_teardown(long_texts_are_left_to_json, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_report_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_cell_does_not_widen_a_million_rows, setup,
						teardown),
		cmocka_unit_test_setup_teardown(metrics_of_a_report, setup, teardown),
		cmocka_unit_test_setup_teardown(histogram_of_a_report, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
