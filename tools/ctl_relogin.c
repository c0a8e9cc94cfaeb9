/* What became of a new login: the daemon takes the command at once, the token answers later. */
#include "tools/ctl.h"

#include "base/clock.h"
#include "report/report.h"

#include <poll.h>

#define LOOK_AGAIN_MS 200
/* A token that is out of service otherwise may need a few probes. */
#define PATIENCE_MS 15000
#define TOKENS_BYTES_MAX ((size_t)1024 * 1024)

struct token_row {
	bool found;
	bool in_service;
	bool refused;
	struct slice last_error;
};

/* @return the cell of the column; empty when there is none */
static struct slice cell_of(const struct report_section *section, const struct slice *cells,
			    const char *column)
{
	for (size_t i = 0; i < section->column_count; i++)
		if (slice_eq(section->columns[i], slice_str(column)))
			return cells[i];
	return SLICE_LIT("");
}

static struct token_row find_token(struct slice report, const char *name)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	struct report_section s;

	while (report_next_section(&report, &s)) {
		while (report_next_row(&s, cells)) {
			if (!slice_eq(cell_of(&s, cells, "name"), slice_str(name)))
				continue;
			return (struct token_row){
				.found = true,
				.in_service = slice_eq(cell_of(&s, cells, "up"), SLICE_LIT("1")),
				.refused =
					slice_eq(cell_of(&s, cells, "pin_refused"), SLICE_LIT("1")),
				.last_error = cell_of(&s, cells, "last_error"),
			};
		}
	}
	return (struct token_row){ .found = false };
}

static enum err judge(const struct token_row *row, const char *token, struct err_detail *detail)
{
	if (row->found && row->in_service && !row->refused)
		return ERR_OK;
	err_detail_set(detail,
		       "token %s is not in service%s%.*s; 'hsmdkim-ctl tokens' goes on telling",
		       token, row->last_error.len > 0 ? ": " : " yet", SLICE_FMT(row->last_error));
	return ERR_NOT_SUPPORTED;
}

enum err ctl_wait_for_login(const char *socket_path, const char *token, int timeout_ms,
			    struct err_detail *detail)
{
	const int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
	enum err e = ERR_NOT_SUPPORTED;
	bool refused = false;

	while (e != ERR_OK && !refused && clock_mono_ms() < until_ms) {
		struct slice report = SLICE_LIT("");
		struct token_row row = { .found = false };
		struct buf answer;

		buf_init(&answer, TOKENS_BYTES_MAX);
		e = ctl_ask(socket_path, "tokens", timeout_ms, &answer, &report, detail);
		if (e == ERR_OK) {
			row = find_token(report, token);
			e = judge(&row, token, detail);
		}
		refused = row.refused;
		buf_done(&answer);
		if (e != ERR_OK && !refused)
			(void)poll(NULL, 0, LOOK_AGAIN_MS);
	}
	return e;
}
