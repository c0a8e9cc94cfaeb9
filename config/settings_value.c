/* The types of settings: how a value is read, written, compared and described. One row a type. */
#include "config/settings_priv.h"

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define NUMBER_TEXT_MAX 40

static enum err bad_value(const struct setting_row *row, struct slice value,
			  struct err_detail *detail)
{
	char shown[80];
	char expects[256];

	err_detail_set(detail, "%s: '%s' is not allowed; write %s", row->name,
		       text_sanitize(value, shown, sizeof(shown)),
		       setting_expects(row, expects, sizeof(expects)));
	return ERR_CONFIG;
}

/* OpenDKIM's integer: strtol() with base 0. *ret_rest is what stands behind the digits. */
static bool parse_number(struct slice value, int64_t *ret_number, struct slice *ret_rest)
{
	char text[NUMBER_TEXT_MAX];
	char *end;
	long long number;

	if (value.len == 0 || value.len >= sizeof(text) || ch_is_fws(value.ptr[0]))
		return false;
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	errno = 0;
	number = strtoll(text, &end, 0);
	if (errno != 0 || end == text)
		return false;
	*ret_number = number;
	*ret_rest = slice_sub(value, (size_t)(end - text), value.len);
	return true;
}

static const struct time_unit {
	const char *suffix;
	int64_t ms;
} time_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

static bool parse_unit(struct slice suffix, int64_t *ret_ms)
{
	if (suffix.len == 0) {
		*ret_ms = 1000;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(time_units); i++) {
		if (slice_ieq(suffix, slice_str(time_units[i].suffix))) {
			*ret_ms = time_units[i].ms;
			return true;
		}
	}
	return false;
}

/* "20s", "5", "1h": milliseconds */
static bool parse_duration(struct slice value, int64_t *ret_ms)
{
	int64_t number;
	int64_t unit;
	struct slice suffix;

	if (!parse_number(value, &number, &suffix) || !parse_unit(suffix, &unit))
		return false;
	return !__builtin_mul_overflow(number, unit, ret_ms);
}

static bool read_int(const struct setting_row *row, struct slice value, void *field)
{
	struct slice rest;
	int64_t number;

	(void)row;
	if (!parse_number(value, &number, &rest) || rest.len != 0)
		return false;
	*(int64_t *)field = number;
	return true;
}

static bool read_duration(const struct setting_row *row, struct slice value, void *field)
{
	(void)row;
	return parse_duration(value, field);
}

static bool read_seconds(const struct setting_row *row, struct slice value, void *field)
{
	int64_t ms;

	(void)row;
	if (!parse_duration(value, &ms) || ms % 1000 != 0)
		return false;
	*(int64_t *)field = ms / 1000;
	return true;
}

/* OpenDKIM looks at the first character only. */
static bool read_bool(const struct setting_row *row, struct slice value, void *field)
{
	(void)row;
	if (value.len == 0 || strchr("TtYy1FfNn0", value.ptr[0]) == NULL || value.ptr[0] == '\0')
		return false;
	*(bool *)field = strchr("TtYy1", value.ptr[0]) != NULL;
	return true;
}

static bool read_enum(const struct setting_row *row, struct slice value, void *field)
{
	for (const struct setting_word *w = row->words; w->word != NULL; w++) {
		if (slice_ieq(value, slice_str(w->word))) {
			*(int *)field = w->value;
			return true;
		}
	}
	return false;
}

/* "10/1h" */
static bool read_rate(const struct setting_row *row, struct slice value, void *field)
{
	struct settings_rate rate;
	size_t slash = slice_find(value, '/');
	struct slice rest;

	(void)row;
	if (slash == value.len || !parse_number(slice_sub(value, 0, slash), &rate.count, &rest) ||
	    rest.len != 0 ||
	    !parse_duration(slice_sub(value, slash + 1, value.len), &rate.period_ms))
		return false;
	if (rate.count < 1 || rate.period_ms < 1)
		return false;
	*(struct settings_rate *)field = rate;
	return true;
}

static void write_bool(const struct setting_row *row, const void *field, FILE *out)
{
	(void)row;
	(void)fputs(*(const bool *)field ? "yes" : "no", out);
}

static void write_int(const struct setting_row *row, const void *field, FILE *out)
{
	(void)row;
	(void)fprintf(out, "%" PRId64, *(const int64_t *)field);
}

static void write_octal(const struct setting_row *row, const void *field, FILE *out)
{
	int64_t number = *(const int64_t *)field;

	if (number < 0)
		write_int(row, field, out);
	else
		(void)fprintf(out, "0%03" PRIo64, (uint64_t)number);
}

static void write_ms(int64_t ms, FILE *out)
{
	size_t i = 0;

	if (ms == 0) {
		(void)fputs("0", out);
		return;
	}
	while (ms % time_units[i].ms != 0)
		i++;
	(void)fprintf(out, "%" PRId64 "%s", ms / time_units[i].ms, time_units[i].suffix);
}

static void write_duration(const struct setting_row *row, const void *field, FILE *out)
{
	(void)row;
	write_ms(*(const int64_t *)field, out);
}

static void write_seconds(const struct setting_row *row, const void *field, FILE *out)
{
	(void)row;
	write_ms(*(const int64_t *)field * 1000, out);
}

static void write_enum(const struct setting_row *row, const void *field, FILE *out)
{
	for (const struct setting_word *w = row->words; w->word != NULL; w++) {
		if (w->value == *(const int *)field) {
			(void)fputs(w->word, out);
			return;
		}
	}
}

static void write_rate(const struct setting_row *row, const void *field, FILE *out)
{
	const struct settings_rate *rate = field;

	(void)row;
	if (rate->count == 0)
		return;
	(void)fprintf(out, "%" PRId64 "/", rate->count);
	write_ms(rate->period_ms, out);
}

static void write_text(const struct setting_row *row, const void *field, FILE *out)
{
	const char *text = *(char *const *)field;

	(void)row;
	(void)fputs(text != NULL ? text : "", out);
}

static const struct type_ops {
	const char *name;    /* in the manual */
	const char *expects; /* NULL: the row's words or range */
	bool (*read)(const struct setting_row *row, struct slice value, void *field);
	void (*write)(const struct setting_row *row, const void *field, FILE *out);
	size_t size; /* of the field; 0: text */
} types[] = {
	[SETTING_TYPE_BOOL] = { "boolean", "yes or no (true, false, 1, 0)", read_bool, write_bool,
				sizeof(bool) },
	[SETTING_TYPE_INT] = { "integer", NULL, read_int, write_int, sizeof(int64_t) },
	[SETTING_TYPE_OCTAL] = { "octal number", NULL, read_int, write_octal, sizeof(int64_t) },
	[SETTING_TYPE_DURATION] = { "duration", NULL, read_duration, write_duration,
				    sizeof(int64_t) },
	[SETTING_TYPE_SECONDS] = { "duration", NULL, read_seconds, write_seconds, sizeof(int64_t) },
	[SETTING_TYPE_ENUM] = { "word", NULL, read_enum, write_enum, sizeof(int) },
	[SETTING_TYPE_RATE] = { "rate", "a number, a slash and a time, for example 10/1h",
				read_rate, write_rate, sizeof(struct settings_rate) },
	[SETTING_TYPE_STRING] = { "string", "a text", NULL, write_text, 0 },
	[SETTING_TYPE_DATASET] = { "data set", "a data set", NULL, write_text, 0 },
	[SETTING_TYPE_FILE] = { "file", "the path of a file", NULL, write_text, 0 },
	[SETTING_TYPE_PATH] = { "path", "a path", NULL, write_text, 0 },
};

bool setting_is_text(const struct setting_row *row)
{
	return types[row->type].read == NULL;
}

size_t setting_size(const struct setting_row *row)
{
	return types[row->type].size;
}

const char *setting_type_name(const struct setting_row *row)
{
	return types[row->type].name;
}

const char *setting_expects(const struct setting_row *row, char *out, size_t out_size)
{
	size_t len = 0;

	if (types[row->type].expects != NULL) {
		(void)snprintf(out, out_size, "%s", types[row->type].expects);
	} else if (row->words == NULL) {
		(void)snprintf(out, out_size, "%s from %s to %s",
			       types[row->type].read == read_int ? "a number" : "a time", row->min,
			       row->max);
	} else {
		out[0] = '\0';
		for (const struct setting_word *w = row->words; w->word != NULL; w++) {
			int n = snprintf(out + len, out_size - len, "%s%s", len != 0 ? ", " : "",
					 w->word);

			if (n < 0 || (size_t)n >= out_size - len)
				break;
			len += (size_t)n;
		}
	}
	return out;
}

static bool in_range(const struct setting_row *row, int64_t number)
{
	int64_t min;
	int64_t max;

	return row->min == NULL || (types[row->type].read(row, slice_str(row->min), &min) &&
				    types[row->type].read(row, slice_str(row->max), &max) &&
				    number >= min && number <= max);
}

static enum err parse_text(struct slice value, char **field)
{
	char *copy = slice_dup(value);

	if (copy == NULL)
		return ERR_NOMEM;
	free(*field);
	*field = copy;
	return ERR_OK;
}

enum err setting_parse(const struct setting_row *row, struct slice value, void *field,
		       struct err_detail *detail)
{
	struct settings_rate parsed = {
		0
	}; /* the largest field, room for any; read() knows which it is */
	int64_t number;

	if (setting_is_text(row))
		return parse_text(value, field);
	if (!types[row->type].read(row, value, &parsed))
		return bad_value(row, value, detail);
	memcpy(&number, &parsed, sizeof(number));
	if (types[row->type].size == sizeof(number) && !in_range(row, number))
		return bad_value(row, value, detail);
	memcpy(field, &parsed, types[row->type].size);
	return ERR_OK;
}

void setting_write(const struct setting_row *row, const void *field, FILE *out)
{
	types[row->type].write(row, field, out);
}

bool setting_is_default(const struct setting_row *row, const void *field)
{
	struct settings_rate parsed = { 0 }; /* the largest and the most aligned */

	if (setting_is_text(row)) {
		const char *text = *(char *const *)field;

		return text == NULL || row->def == NULL ? text == row->def
							: strcmp(text, row->def) == 0;
	}
	if (row->def != NULL && !types[row->type].read(row, slice_str(row->def), &parsed))
		return false;
	return memcmp(&parsed, field, types[row->type].size) == 0;
}
