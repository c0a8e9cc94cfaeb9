/* FixCRLF: every split of a text gives the same, and what it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/slice.h"
#include "daemon/crlf.h"

struct sink {
	char text[256];
	size_t len;
};

static void put(void *ctx, const char *data, size_t len)
{
	struct sink *s = ctx;

	assert_true(s->len + len < sizeof(s->text));
	if (len > 0)
		memcpy(s->text + s->len, data, len);
	s->len += len;
}

static void lone_ends_of_lines_become_crlf(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "", "" },
		{ "a", "a" },
		{ "a\r\nb\r\n", "a\r\nb\r\n" },
		{ "a\nb\n", "a\r\nb\r\n" },
		{ "a\rb\r", "a\r\nb\r\n" },
		{ "\r\r\n\n\r", "\r\n\r\n\r\n\r\n" },
		{ "\n\r\n\r\r", "\r\n\r\n\r\n\r\n" },
		{ "x\r\n\ny\r\rz", "x\r\n\r\ny\r\n\r\nz" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = strlen(cases[i].in);

		for (size_t a = 0; a <= len; a++) {
			for (size_t b = a; b <= len; b++) {
				struct crlf c = { false };
				struct sink s = { .len = 0 };

				crlf_update(&c, cases[i].in, a, put, &s);
				crlf_update(&c, cases[i].in + a, b - a, put, &s);
				crlf_update(&c, cases[i].in + b, len - b, put, &s);
				crlf_finish(&c, put, &s);
				s.text[s.len] = '\0';
				assert_string_equal(s.text, cases[i].out);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lone_ends_of_lines_become_crlf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
