/* dkim/idn: the parents of a name in all its spellings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "dkim/idn.h"

/* The spellings in one line: "a b". */
static const char *line_of(const struct idn_spellings *s)
{
	static char line[1024];
	struct buf out;

	buf_init(&out, sizeof(line));
	for (size_t i = 0; i < s->count; i++) {
		if (i > 0)
			buf_add_ch(&out, ' ');
		buf_add(&out, s->names[i]);
	}
	assert_true(out.len < sizeof(line));
	memcpy(line, out.data, out.len);
	line[out.len] = '\0';
	buf_done(&out);
	return line;
}

static const struct {
	const char *name;
	bool with_dot;
	const char *parents[4]; /* of the name, of that parent, ... */
} cases[] = {
	{ "a.example.org", false, { "example.org", "org" } },
	{ "a.example.org", true, { ".example.org", ".org" } },
	/* once they are equal they are one */
	{ "xn--mller-kva.example", false, { "example" } },
	{ "m\xc3\xbcller.example", true, { ".example" } },
	{ "a.xn--mller-kva.example",
	  false,
	  { "xn--mller-kva.example m\xc3\xbcller.example", "example" } },
	{ "a.xn--mller-kva.example",
	  true,
	  { ".xn--mller-kva.example .m\xc3\xbcller.example", ".example" } },
	{ "localhost", false, { NULL } },
	{ "localhost", true, { NULL } },
	{ "", true, { NULL } },
	{ "a.", false, { NULL } },
};

static void each_parent_is_named_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct idn_spellings s;
		size_t at = 0;

		idn_spell(slice_str(cases[i].name), &s);
		while (idn_spellings_parent(&s, cases[i].with_dot)) {
			assert_non_null(cases[i].parents[at]);
			assert_string_equal(line_of(&s), cases[i].parents[at]);
			at++;
		}
		assert_null(cases[i].parents[at]);
		assert_int_equal(s.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_parent_is_named_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
