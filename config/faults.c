/* Gathered errors of tables: see faults.h. */
#include "config/faults.h"

#include "base/slice.h"
#include "base/text.h"

#include <string.h>

/* For how many more there are of a table. */
#define MORE_BYTES 128u

void faults_init(struct faults *f)
{
	*f = (struct faults){ .first = ERR_OK };
	buf_init(&f->text, FAULTS_BYTES_MAX + MORE_BYTES);
}

void faults_done(struct faults *f)
{
	buf_done(&f->text);
}

static bool is_of_last(const struct faults *f, const char *table)
{
	return f->table != NULL && strcmp(f->table, table) == 0;
}

bool faults_has_room(const struct faults *f, const char *table)
{
	return f->text.len + MORE_BYTES + sizeof(struct err_detail) < FAULTS_BYTES_MAX &&
	       (!is_of_last(f, table) || f->kept < FAULTS_TABLE_MAX);
}

static void add_line(struct faults *f, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_ch(&f->text, text.ptr[i] != '\n' ? text.ptr[i] : ' ');
	buf_add_ch(&f->text, '\n');
}

enum err faults_close(struct faults *f)
{
	if (f->more > 0 && f->text.len + MORE_BYTES < FAULTS_BYTES_MAX)
		buf_add_fmt(&f->text, "%s: and %zu more; mend these and look again\n", f->table,
			    f->more);
	f->more = f->kept = 0;
	f->table = NULL;
	return f->first;
}

void faults_add(struct faults *f, const char *table, enum err e, const struct err_detail *detail)
{
	bool room = faults_has_room(f, table);

	if (!is_of_last(f, table))
		(void)faults_close(f);
	f->table = table;
	if (f->first == ERR_OK)
		f->first = e;
	if (!room) {
		f->more++;
		return;
	}
	f->kept++;
	add_line(f,
		 slice_str(detail != NULL && detail->text[0] != '\0' ? detail->text : err_text(e)));
}

const char *faults_text(const struct faults *f, enum err e, const struct err_detail *detail)
{
	if (f->text.len > 0)
		return f->text.data;
	return detail->text[0] != '\0' ? detail->text : err_text(e);
}

void faults_spread(const char *text, const struct settings *s, struct err_detail *detail,
		   struct settings_warnings *warnings)
{
	struct slice rest = slice_str(text);
	struct slice line;

	while (slice_next(&rest, '\n', &line)) {
		char shown[1024];
		struct err_detail one;

		(void)text_sanitize(line, shown, sizeof(shown));
		if (line.len == 0)
			continue;
		err_detail_set(&one, "%s", shown);
		settings_place_error(s, &one);
		if (detail->text[0] == '\0') {
			*detail = one;
			continue;
		}
		err_detail_prefix(&one, FAULTS_ALSO);
		settings_warn(warnings, one.text);
	}
}
