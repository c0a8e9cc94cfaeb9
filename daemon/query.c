/* -e and -Q: see query.h. */
#include "daemon/query.h"

#include "base/text.h"
#include "keytable/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define LINE_BYTES_MAX 8192

int query_setting(const struct generation_source *source, const char *name)
{
	AUTO(settings_free) struct settings *settings = NULL;
	struct err_detail detail = { "" };
	enum err err = generation_settings(source, &settings, NULL, &detail);

	if (err != ERR_OK) {
		(void)fprintf(stderr, "hsmdkim: %s\n",
			      detail.text[0] != '\0' ? detail.text : err_text(err));
		return EX_CONFIG;
	}
	err = settings_print_one(settings, slice_str(name), stdout);
	if (err == ERR_SYNTAX)
		return EX_DATAERR;
	return err == ERR_OK ? EX_OK : EX_CONFIG;
}

/* One line of standard input without its end. @return false: there is none */
static bool read_line(char *line, struct slice *ret_line)
{
	if (fgets(line, LINE_BYTES_MAX, stdin) == NULL)
		return false;
	*ret_line = slice_rtrim(slice_str(line));
	return true;
}

static void print_parts(struct slice value, unsigned long long count)
{
	struct slice part;

	for (; count > 0 && slice_next(&value, ':', &part); count--) {
		if (part.len == 0)
			(void)printf("<empty>\n");
		else
			(void)printf("'%.*s'\n", SLICE_FMT(part));
	}
	for (; count > 0; count--)
		(void)printf("<absent>\n");
}

#define PARTS_MAX 64U

static int answer(const struct dataset *set, struct slice line, struct buf *room)
{
	size_t slash = slice_rfind(line, '/');
	struct slice key = slice_sub(line, 0, slash);
	struct dataset_row row;
	uint32_t cursor = 0;
	unsigned long long count = 0;
	char shown[120];
	enum err err;

	if (slash == line.len || !slice_u64(slice_sub(line, slash + 1, line.len), &count) ||
	    count > PARTS_MAX) {
		(void)fprintf(stderr, "hsmdkim: invalid query '%s'\n",
			      text_sanitize(line, shown, sizeof(shown)));
		return EX_USAGE;
	}
	err = dataset_read(set, key, &cursor, room, &row);
	if (err == ERR_OK)
		print_parts(row.value, count);
	else
		(void)fprintf(stderr, "hsmdkim: %s\n",
			      err == ERR_NOT_FOUND ? "record not found" : err_text(err));
	return EX_OK;
}

int query_dataset(void)
{
	static char text[LINE_BYTES_MAX];
	AUTO(files_free) struct files *files = files_new_real();
	AUTO(dataset_free) struct dataset *set = NULL;
	struct err_detail detail = { "" };
	struct slice line;
	struct buf room;
	int status = EX_OK;
	enum err err = files != NULL ? ERR_OK : ERR_NOMEM;

	if (!read_line(text, &line))
		return EX_OK;
	text[line.len] = '\0';
	if (err == ERR_OK)
		err = dataset_open("-Q", text, DATASET_LIVE, files, &set, &detail);
	if (err != ERR_OK) {
		(void)fprintf(stderr, "hsmdkim: %s\n",
			      detail.text[0] != '\0' ? detail.text : err_text(err));
		return EX_SOFTWARE;
	}
	buf_init(&room, (size_t)LINE_BYTES_MAX * 8);
	while (status == EX_OK && read_line(text, &line))
		if (line.len != 0)
			status = answer(set, line, &room);
	buf_done(&room);
	return status;
}
