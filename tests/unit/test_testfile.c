/* daemon/testfile: messages on files as an MTA's dialogue; each line end, each way a file can end.
 */
#include "daemon/testfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* What was called, one step a line; "/" stands for CRLF. */
struct script {
	struct buf text;
	size_t stop_at; /* line of the header field that stops; 0: none */
};

static void note(struct script *s, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.ptr[i] == '\r' && i + 1 < bytes.len && bytes.ptr[i + 1] == '\n') {
			buf_add_ch(&s->text, '/');
			i++;
		} else {
			buf_add_ch(&s->text, bytes.ptr[i]);
		}
	}
	buf_add_ch(&s->text, '\n');
}

static bool on_header(void *ctx, const char *name, const char *value, size_t line)
{
	struct script *s = ctx;

	buf_add_fmt(&s->text, "%zu %s=", line, name);
	note(s, slice_str(value));
	return line != s->stop_at;
}

static bool on_end(void *ctx, bool any)
{
	struct script *s = ctx;

	buf_add_str(&s->text, any ? "end\n" : "end of nothing\n");
	return true;
}

static void on_body(void *ctx, struct slice line)
{
	struct script *s = ctx;

	buf_add_str(&s->text, "body ");
	note(s, line);
}

static enum err walk(const char *message, bool strict, struct script *s, struct err_detail *detail)
{
	const struct testfile_steps steps = { on_header, on_end, on_body, s };

	buf_reset(&s->text);
	detail->text[0] = '\0';
	return testfile_walk(slice_str(message), strict, &steps, detail);
}

static void messages_become_steps(void **state)
{
	static const struct {
		const char *message;
		const char *steps;
	} rows[] = {
		{ "A: b\r\nC:d\r\n\r\nx\r\n\r\ny\r\n",
		  "1 A= b\n2 C=d\nend\nbody x/\nbody /\nbody y/\n" },
		{ "A: b\nC:d\n\nx\n", "1 A= b\n2 C=d\nend\nbody x/\n" },
		{ "A: b\r\n c\r\n\td\r\nE: f\r\n\r\n", "1 A= b/ c/\td\n4 E= f\nend\n" },
		{ "A: b\r\n\r\nno end", "1 A= b\nend\nbody no end/\n" },
		{ "A: b\r\nC: d", "1 A= b\n2 C= d\nend\n" },
		{ "A: b:c\r\n\r\n", "1 A= b:c\nend\n" },
		{ "A:\r\n\r\n", "1 A=\nend\n" },
		{ "A: b\r\r\n\r\n", "1 A= b\r\nend\n" },
		{ "", "end of nothing\n" },
		{ "\r\n", "end\n" },
		{ "\r\nx\r\n", "end\nbody x/\n" },
	};
	struct script s = { .stop_at = 0 };
	struct err_detail detail;

	(void)state;
	buf_init(&s.text, 4096);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(walk(rows[i].message, false, &s, &detail), ERR_OK);
		buf_add_ch(&s.text, '\0');
		assert_string_equal(s.text.data, rows[i].steps);
	}
	buf_done(&s.text);
}

static void a_field_that_is_none_is_named_by_its_line(void **state)
{
	static const struct {
		const char *message;
		const char *detail;
	} rows[] = {
		{ "A: b\r\nnothing\r\nC: d\r\n\r\n", "line 2: header malformed" },
		{ "A: b\r\nnothing", "line 2: header malformed" },
		{ " folded\r\nA: b\r\n\r\n", "line 1: header malformed" },
		{ ": b\r\n\r\n", "line 1: header malformed" },
	};
	struct script s = { .stop_at = 0 };
	struct err_detail detail;

	(void)state;
	buf_init(&s.text, 4096);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(walk(rows[i].message, false, &s, &detail), ERR_SYNTAX);
		assert_string_equal(detail.text, rows[i].detail);
	}
	buf_done(&s.text);
}

static void strict_wants_crlf_everywhere(void **state)
{
	struct script s = { .stop_at = 0 };
	struct err_detail detail;

	(void)state;
	buf_init(&s.text, 4096);
	assert_int_equal(walk("A: b\r\n\r\nx\r\n", true, &s, &detail), ERR_OK);
	assert_int_equal(walk("A: b\r\nC: d\n\r\nx\r\n", true, &s, &detail), ERR_SYNTAX);
	assert_string_equal(detail.text, "line 2: not CRLF-terminated");
	assert_int_equal(walk("A: b\r\n\r\nx\r\ny\n", true, &s, &detail), ERR_SYNTAX);
	assert_string_equal(detail.text, "line 4: not CRLF-terminated");
	assert_int_equal(walk("A: b\r\n\r\nx", true, &s, &detail), ERR_SYNTAX);
	buf_done(&s.text);
}

static void a_step_stops_the_rest(void **state)
{
	struct script s = { .stop_at = 1 };
	struct err_detail detail;

	(void)state;
	buf_init(&s.text, 4096);
	assert_int_equal(walk("A: b\r\nC: d\r\n\r\nx\r\n", false, &s, &detail), ERR_OK);
	buf_add_ch(&s.text, '\0');
	assert_string_equal(s.text.data, "1 A= b\n");
	buf_done(&s.text);
}

static void a_descriptor_is_read_to_its_end_or_limit(void **state)
{
	int pipes[2];
	struct buf out;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "hello", 5), 5);
	(void)close(pipes[1]);
	buf_init(&out, 4);
	assert_int_equal(testfile_read(pipes[0], &out), ERR_LIMIT);
	buf_done(&out);
	(void)close(pipes[0]);
	buf_init(&out, 4);
	assert_int_equal(testfile_read(pipes[0], &out), ERR_IO);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_become_steps),
		cmocka_unit_test(a_field_that_is_none_is_named_by_its_line),
		cmocka_unit_test(strict_wants_crlf_everywhere),
		cmocka_unit_test(a_step_stops_the_rest),
		cmocka_unit_test(a_descriptor_is_read_to_its_end_or_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
