/* Command lines from a table, over getopt_long(3). */
#define _GNU_SOURCE
#include "tools/options.h"

#include "base/slice.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <sysexits.h>

/* What getopt_long() returns for a row: its index, and whether it was written with "no". */
#define VALUE_BASE 0x1000
#define VALUE_NEGATED 0x100
#define VALUE_HELP 0x2000
#define VALUE_VERSION 0x2001
#define NEGATED_NAME_BYTES 48U

/* getopt_long()'s view of a spec. A flag has three long names. */
struct tables {
	char letters[2 * OPTION_ROWS_MAX + 2];
	struct option longs[3 * OPTION_ROWS_MAX + 3];
	char negated[2 * OPTION_ROWS_MAX][NEGATED_NAME_BYTES];
	size_t long_count;
	size_t negated_count;
};

static bool takes_value(const struct option_row *row)
{
	return row->type == OPTION_STRING || row->type == OPTION_UINT;
}

static void add_long(struct tables *t, const char *name, bool value, int result)
{
	t->longs[t->long_count++] = (struct option){
		.name = name,
		.has_arg = value ? required_argument : no_argument,
		.val = result,
	};
}

static void add_negated(struct tables *t, const char *prefix, const char *name, int result)
{
	char *text = t->negated[t->negated_count++];

	(void)snprintf(text, NEGATED_NAME_BYTES, "%s%s", prefix, name);
	add_long(t, text, false, result | VALUE_NEGATED);
}

static void add_row(struct tables *t, const struct option_row *row, int result, size_t *letters)
{
	if (row->type == OPTION_TITLE)
		return;
	if (row->letter != 0) {
		t->letters[(*letters)++] = row->letter;
		if (takes_value(row))
			t->letters[(*letters)++] = ':';
	}
	if (row->name == NULL)
		return;
	add_long(t, row->name, takes_value(row), result);
	if (row->type == OPTION_FLAG || row->type == OPTION_CLEAR) {
		add_negated(t, "no-", row->name, result);
		add_negated(t, "no", row->name, result);
	}
}

static void build_tables(const struct option_spec *spec, struct tables *t)
{
	size_t letters = 0;

	*t = (struct tables){ 0 };
	for (size_t i = 0; i < spec->count && i < OPTION_ROWS_MAX; i++)
		add_row(t, &spec->rows[i], VALUE_BASE + (int)i, &letters);
	add_long(t, "help", false, VALUE_HELP);
	add_long(t, "version", false, VALUE_VERSION);
}

int options_complain(const struct option_spec *spec, const char *fmt, ...)
{
	va_list args;

	char text[1024];

	va_start(args, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): false when this is inlined */
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)fprintf(stderr, "%s: %s\nTry \"%s --help\".\n", spec->program, text, spec->program);
	return spec->usage_exit;
}

static bool set_uint(const struct option_spec *spec, const struct option_row *row, const char *text,
		     unsigned *ret_value)
{
	unsigned long long value = 0;

	if (slice_u64(slice_str(text), &value) && value >= row->min && value <= row->max) {
		*ret_value = (unsigned)value;
		return true;
	}
	(void)options_complain(spec, "%s must be a number from %u to %u",
			       row->name != NULL ? row->name : row->arg, row->min, row->max);
	return false;
}

static bool set_field(const struct option_spec *spec, const struct option_row *row, bool negated,
		      void *target)
{
	void *field = (char *)target + row->field;

	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)field = !negated;
		return true;
	case OPTION_CLEAR:
		*(bool *)field = negated;
		return true;
	case OPTION_COUNT:
		(*(unsigned *)field)++;
		return true;
	case OPTION_STRING:
		*(const char **)field = optarg;
		return true;
	case OPTION_UINT:
		return set_uint(spec, row, optarg, field);
	case OPTION_VERSION:
	case OPTION_TITLE:
		return true;
	}
	return false;
}

static const struct option_row *find_letter(const struct option_spec *spec, int letter)
{
	for (size_t i = 0; i < spec->count; i++)
		if (spec->rows[i].letter != 0 && spec->rows[i].letter == letter)
			return &spec->rows[i];
	return NULL;
}

static const struct option_row *find_row(const struct option_spec *spec, int result)
{
	if (result >= VALUE_BASE)
		return &spec->rows[(result & ~VALUE_NEGATED) - VALUE_BASE];
	return find_letter(spec, result);
}

/* --help and --version. */
static bool answered(const struct option_spec *spec, int result)
{
	const struct option_row *row = result < VALUE_BASE ? find_letter(spec, result) : NULL;

	if (result == VALUE_HELP) {
		options_print_help(spec, stdout);
		return true;
	}
	if (result != VALUE_VERSION && (row == NULL || row->type != OPTION_VERSION))
		return false;
	(void)printf("%s v%s\n", spec->program, HSMDKIM_VERSION);
	return true;
}

bool options_parse(const struct option_spec *spec, int argc, char **argv, void *target,
		   int *ret_operand, int *ret_exit)
{
	struct tables t;
	int result;

	build_tables(spec, &t);
	optind = 0; /* also starts anew after an earlier parse */
	while ((result = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		const struct option_row *row;
		bool negated = result >= VALUE_BASE && (result & VALUE_NEGATED) != 0;

		*ret_exit = EX_OK;
		if (answered(spec, result))
			return false;
		*ret_exit = spec->usage_exit;
		row = find_row(spec, result);
		if (row == NULL) { /* '?': getopt_long() has said what is wrong */
			(void)fprintf(stderr, "Try \"%s --help\".\n", spec->program);
			return false;
		}
		if (!set_field(spec, row, negated, target))
			return false;
	}
	*ret_operand = optind;
	return true;
}

#define HELP_COLUMN 30

static void print_row(const struct option_row *row, FILE *out)
{
	char left[80];
	int used;

	if (row->type == OPTION_TITLE) {
		(void)fprintf(out, "\n%s\n", row->help);
		return;
	}
	used = snprintf(left, sizeof(left), "  %c%c%s%s%s%s%s", row->letter != 0 ? '-' : ' ',
			row->letter != 0 ? row->letter : ' ',
			row->letter != 0 && row->name != NULL ? ", " : "  ",
			row->name != NULL ? "--" : "", row->name != NULL ? row->name : "",
			row->arg != NULL ? (row->name != NULL ? "=" : " ") : "",
			row->arg != NULL ? row->arg : "");
	if (used > HELP_COLUMN - 1)
		(void)fprintf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", row->help);
	else
		(void)fprintf(out, "%-*s%s\n", HELP_COLUMN, left, row->help);
}

void options_print_help(const struct option_spec *spec, FILE *out)
{
	static const struct option_row own[] = {
		{ 0, OPTION_FLAG, "help", NULL, 0, "print this and exit", 0, 0 },
		{ 0, OPTION_FLAG, "version", NULL, 0, "print the version and exit", 0, 0 },
	};

	(void)fprintf(out, "usage: %s %s\n\n", spec->program, spec->synopsis);
	for (size_t i = 0; i < spec->count; i++)
		print_row(&spec->rows[i], out);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		print_row(&own[i], out);
	(void)fprintf(out, "\nExamples:\n%s", spec->examples);
}
