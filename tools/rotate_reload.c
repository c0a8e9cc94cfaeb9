/* Ways to make the daemon read its tables again. */
#include "base/limits.h"
#include "report/report.h"
#include "tools/ctl.h"
#include "tools/rotate_run.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define ASK_MS 20000
#define RELOAD_MS 90000
#define ANSWER_BYTES_MAX ((size_t)32 * 1024 * 1024)

/* ---- PidFile ---- */

static enum err signal_daemon(const char *pid_file, int number, struct err_detail *detail)
{
	AUTO(files_free) struct files *files = files_new_real();
	struct slice text = SLICE_LIT("");
	unsigned long long pid = 0;
	enum err e = files != NULL ? files_map(files, pid_file, &text, detail) : ERR_NOMEM;

	if (e != ERR_OK)
		return e;
	if (!slice_u64(slice_trim(text), &pid) || pid < 2 || pid > INT_MAX ||
	    kill((pid_t)pid, number) != 0) {
		err_detail_set(detail,
			       "PidFile %s: no process of that id takes signals from us; is "
			       "hsmdkim running?",
			       pid_file);
		return ERR_IO;
	}
	return ERR_OK;
}

/* ---- ControlSocket ---- */

static enum err ask(const struct rotate_run *run, const char *line, int timeout_ms,
		    struct buf *answer, struct slice *ret_report, struct err_detail *detail)
{
	enum err e = ctl_ask(run->conf->settings->control_socket, line, timeout_ms, answer,
			     ret_report, detail);

	if (e == ERR_NOT_SUPPORTED) /* the daemon's own words */
		err_detail_prefix(detail, "hsmdkim says: ");
	return e == ERR_NOT_SUPPORTED ? ERR_CONFIG : e;
}

static enum err ask_only(const struct rotate_run *run, const char *line, int timeout_ms,
			 struct err_detail *detail)
{
	struct slice report = SLICE_LIT("");
	struct buf answer;
	enum err e;

	buf_init(&answer, ANSWER_BYTES_MAX);
	e = ask(run, line, timeout_ms, &answer, &report, detail);
	buf_done(&answer);
	return e;
}

/* Is there a row with the new selector in the answer to "keys NAME"? */
static bool lists_selector(struct slice report, const char *selector)
{
	struct report_section section;
	struct slice cells[REPORT_COLUMNS_MAX];

	while (report_next_section(&report, &section)) {
		size_t column = 0;

		while (column < section.column_count &&
		       !slice_eq(section.columns[column], SLICE_LIT("selector")))
			column++;
		while (column < section.column_count && report_next_row(&section, cells))
			if (slice_eq(cells[column], slice_str(selector)))
				return true;
	}
	return false;
}

static enum err reload_over_socket(const struct rotate_run *run, const struct rotate_key *key,
				   struct err_detail *detail)
{
	struct slice report = SLICE_LIT("");
	struct buf question;
	struct buf answer;
	enum err e = ask_only(run, "reload", RELOAD_MS, detail);

	buf_init(&question, LIMIT_KEY_NAME_BYTES + 16);
	buf_init(&answer, ANSWER_BYTES_MAX);
	buf_add_fmt(&question, "keys %s", key->name);
	if (e == ERR_OK)
		e = question.error;
	if (e == ERR_OK)
		e = ask(run, question.data, ASK_MS, &answer, &report, detail);
	if (e == ERR_OK && !lists_selector(report, key->new.selector)) {
		err_detail_set(detail,
			       "hsmdkim was reloaded and does not sign with selector %s: does it "
			       "read another KeyTable?",
			       key->new.selector);
		e = ERR_CONFIG;
	}
	buf_done(&question);
	buf_done(&answer);
	return e;
}

/* ---- a program ---- */

static enum err run_reload(const char *path, struct err_detail *detail)
{
	char *program = slice_dup(slice_str(path));
	char *argv[2] = { program, NULL };
	enum err e = program != NULL ? rotate_program(argv, SLICE_LIT(""), detail) : ERR_NOMEM;

	free(program);
	return e;
}

/* ---- which ---- */

enum err rotate_reload_known(const struct rotate_run *run, struct err_detail *detail)
{
	const struct settings *s = run->conf->settings;

	if (run->options->reload != NULL || s->control_socket != NULL || s->pid_file != NULL)
		return ERR_OK;
	err_detail_set(detail, "how to reload hsmdkim? Set PidFile or ControlSocket (and restart "
			       "it), or give --reload PROGRAM; nothing was changed");
	return ERR_CONFIG;
}

enum err rotate_reload_ready(const struct rotate_run *run, struct err_detail *detail)
{
	const struct settings *s = run->conf->settings;
	enum err e = rotate_reload_known(run, detail);

	if (e != ERR_OK)
		return e;
	if (run->options->reload != NULL) {
		if (access(run->options->reload, X_OK) == 0)
			return ERR_OK;
		err_detail_set(detail, "--reload %s: cannot be run", run->options->reload);
		return ERR_IO;
	}
	if (s->control_socket != NULL)
		return ask_only(run, "status", ASK_MS, detail);
	return signal_daemon(s->pid_file, 0, detail);
}

enum err rotate_reload(const struct rotate_run *run, const struct rotate_key *key,
		       struct err_detail *detail)
{
	const struct settings *s = run->conf->settings;
	enum err e = rotate_reload_known(run, detail);

	if (e != ERR_OK)
		return e;
	if (run->options->reload != NULL)
		return run_reload(run->options->reload, detail);
	if (s->control_socket != NULL)
		return reload_over_socket(run, key, detail);
	return signal_daemon(s->pid_file, SIGHUP, detail);
}
