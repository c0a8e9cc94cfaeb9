/* base/log: levels, sinks, one line a call. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

struct seen {
	unsigned lines;
	enum log_level level;
	char text[LOG_LINE_BYTES];
	char ident[80];
	int facility;
};

static void seen_open(void *ctx, const char *ident, int facility)
{
	struct seen *seen = ctx;

	(void)snprintf(seen->ident, sizeof(seen->ident), "%s", ident);
	seen->facility = facility;
}

static void seen_write(void *ctx, enum log_level level, const char *line)
{
	struct seen *seen = ctx;

	seen->lines++;
	seen->level = level;
	(void)snprintf(seen->text, sizeof(seen->text), "%s", line);
}

static struct seen seen;
static const struct log_sink sink = { .open = seen_open, .write = seen_write, .ctx = &seen };

static void open_at(enum log_level max, const char *ident)
{
	struct log_options options = { .ident = ident, .facility = LOG_LOCAL3, .max = max };

	memset(&seen, 0, sizeof(seen));
	options.sinks[0] = &sink;
	log_open(&options);
}

static void a_line_reaches_the_sink_with_its_level(void **state)
{
	(void)state;
	open_at(LOG_LEVEL_INFO, "filter");
	log_line(LOG_LEVEL_WARNING, "%s: %d", "QID", 7);
	assert_int_equal(seen.lines, 1);
	assert_int_equal(seen.level, LOG_LEVEL_WARNING);
	assert_string_equal(seen.text, "QID: 7");
	assert_string_equal(seen.ident, "filter");
	assert_int_equal(seen.facility, LOG_LOCAL3);
}

static void lines_above_the_level_are_dropped(void **state)
{
	(void)state;
	open_at(LOG_LEVEL_INFO, NULL);
	log_line(LOG_LEVEL_DEBUG, "not this one");
	assert_int_equal(seen.lines, 0);
	assert_false(log_wants(LOG_LEVEL_DEBUG));
	assert_true(log_wants(LOG_LEVEL_INFO));
	assert_string_equal(seen.ident, "hsmdkim");
}

static void a_forged_line_end_cannot_start_a_line(void **state)
{
	(void)state;
	open_at(LOG_LEVEL_INFO, NULL);
	log_line(LOG_LEVEL_INFO, "a%sb", "\r\nFAKE\x7f");
	assert_string_equal(seen.text, "a??FAKE?b");
}

static void a_long_line_is_cut(void **state)
{
	char text[2 * LOG_LINE_BYTES];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	open_at(LOG_LEVEL_INFO, text);
	log_line(LOG_LEVEL_INFO, "%s", text);
	assert_int_equal(strlen(seen.text), LOG_LINE_BYTES - 1);
	assert_int_equal(strlen(seen.ident), 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_reaches_the_sink_with_its_level),
		cmocka_unit_test(lines_above_the_level_are_dropped),
		cmocka_unit_test(a_forged_line_end_cannot_start_a_line),
		cmocka_unit_test(a_long_line_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
