/* The commands of hsmdkim-ctl(8): what the supervisor knows itself, and what its children answer.
 */
#include "daemon/supervisor_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/question.h"
#include "report/report.h"
#include "report/sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A child that works answers within milliseconds; one that loads tables may need longer. */
#define ANSWER_MS 3000
/* Beyond the time that a reload may take. */
#define RELOAD_ANSWER_MS 75000

struct command_row {
	const char *name;
	bool argument;	/* takes one; else it may have none */
	bool wants_one; /* ... and must have it */
	bool own;	/* the supervisor's own sections come first */
	bool asks[CHILD_COUNT];
	bool reloads;
	size_t bytes_max; /* of the report; 0: as long as may be */
};

/* clang-format off */
static const struct command_row rows[] = {
	{ .name = "status", .own = true, .asks = { [CHILD_SIGNER] = true, [CHILD_MILTER] = true } },
	{ .name = "tokens", .asks = { [CHILD_SIGNER] = true } },
	{ .name = "keys", .argument = true, .asks = { [CHILD_SIGNER] = true } },
	{ .name = "reload", .reloads = true },
	{ .name = "relogin", .argument = true, .wants_one = true, .reloads = true },
	{ .name = "metrics", .own = true, .asks = { [CHILD_SIGNER] = true, [CHILD_MILTER] = true }, .bytes_max = CONTROL_METRICS_BYTES_MAX },
};
/* clang-format on */

/* What each child may speak of. */
static const char *const signer_sections[] = {
	SECTION_SIGNER,	  SECTION_TOKENS,  SECTION_KEYS, SECTION_MORE,
	SECTION_FAILURES, SECTION_LATENCY, NULL
};
static const char *const milter_sections[] = { SECTION_MILTER, NULL };
static const char *const *const sections[CHILD_COUNT] = {
	[CHILD_SIGNER] = signer_sections, [CHILD_MILTER] = milter_sections
};

/* ---- the socket ---- */

static void on_request(void *ctx, unsigned client, struct slice line);
static void on_gone(void *ctx, unsigned client);

enum err supervisor_control_open(struct supervisor *s, struct err_detail *detail)
{
	const struct settings *settings = s->current->settings;
	struct listen_options options = { .umask = 0177, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	struct userid user = { .set = false };
	enum err err = ERR_OK;

	s->control.request = on_request;
	s->control.gone = on_gone;
	s->control.ctx = s;
	if (settings->control_socket == NULL)
		return ERR_OK;
	if (settings->control_user_id != NULL)
		err = userid_find("ControlUserID", settings->control_user_id, &user, detail);
	if (user.set && geteuid() == 0) {
		options.uid = user.uid;
		options.gid = user.gid;
	}
	if (err == ERR_OK)
		err = listen_parse(settings->control_socket, &s->control_addr, detail);
	if (err == ERR_OK)
		err = listen_open(&s->control_addr, &options, &s->control.listen_fd, detail);
	if (err != ERR_OK)
		err_detail_prefix(detail, "ControlSocket: ");
	return err;
}

void supervisor_control_close(struct supervisor *s)
{
	if (s->control.listen_fd >= 0)
		listen_unlink(&s->control_addr, s->control.listen_fd);
	control_done(&s->control);
}

/* ---- what the supervisor knows ---- */

static const char *state_word(const struct lifecycle_child *child)
{
	if (child->state == CHILD_DOWN)
		return "down";
	return child->ready ? "in service" : "starting";
}

static const char *answer_word(const struct question *q)
{
	if (q->number == 0)
		return "cannot be asked";
	return q->answered ? "yes" : "no";
}

static void add_processes(const struct supervisor *s, const struct command *command,
			  struct buf *out)
{
	int64_t now_ms = clock_mono_ms();

	report_section(out, SECTION_PROCESSES);
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		const struct child *child = &s->child[i];
		const struct lifecycle_child *state = &s->lifecycle.child[i];

		report_text(out, slice_str(child_name((enum child_id)i)));
		report_text(out, slice_str(state_word(state)));
		report_number(out, state->state == CHILD_UP && state->ready);
		if (child->pid > 0)
			report_number(out, (uint64_t)child->pid);
		else
			report_unknown(out);
		report_number(out, child->starts > 0 ? child->starts - 1 : 0);
		if (child->pid > 0)
			report_number(out, (uint64_t)(now_ms - child->started_ms) / 1000);
		else
			report_unknown(out);
		report_text(out, slice_str(answer_word(&command->questions[i])));
		report_end_row(out);
	}
}

static void add_own(const struct supervisor *s, const struct command *command, struct buf *out)
{
	report_section(out, SECTION_DAEMON);
	report_text(out, SLICE_LIT(HSMDKIM_VERSION));
	report_number(out, (uint64_t)getpid());
	report_number(out, (uint64_t)(clock_mono_ms() - s->started_ms) / 1000);
	report_text(out, slice_str(s->options->source.path));
	report_number(out, s->current->number);
	report_number(out, s->reload.done);
	report_number(out, s->reload.failed);
	report_text(out, slice_str(s->reload.text));
	report_end_row(out);
	add_processes(s, command, out);
}

/* ---- answers ---- */

static void forget(struct command *command)
{
	for (unsigned i = 0; i < CHILD_COUNT; i++)
		supervisor_question_done(&command->questions[i]);
	*command = (struct command){ .row = NULL };
}

static void on_gone(void *ctx, unsigned client)
{
	struct supervisor *s = ctx;

	forget(&s->commands[client]);
}

static void refuse(struct supervisor *s, unsigned client, const char *why)
{
	char safe[600];
	struct buf out;

	buf_init(&out, 1024);
	buf_add_fmt(&out, "error %s\n", text_sanitize(slice_str(why), safe, sizeof(safe)));
	forget(&s->commands[client]);
	control_answer(&s->control, client, buf_slice(&out));
	buf_done(&out);
}

/* A child's answer, if it keeps to its sections: the others are not its business. */
static bool add_answer(enum child_id id, const struct question *q, struct buf *out)
{
	struct slice text = SLICE_LIT("");
	struct buf answer;
	bool ok;

	buf_init(&answer, QUESTION_ANSWER_BYTES_MAX);
	ok = question_read(q->fd, &answer) == ERR_OK && buf_finish(&answer, &text) == ERR_OK &&
	     report_is_valid(text, sections[id]);
	if (ok)
		buf_add(out, text);
	else
		log_line(LOG_LEVEL_ERROR, "%s process: its answer makes no sense", child_name(id));
	buf_done(&answer);
	return ok;
}

/* Only a child that was taken over makes so many rows; the others' are then not told, either.
 * @return true: refused, and logged when it is the first time */
static bool is_too_long(struct supervisor *s, unsigned client, const struct buf *out)
{
	size_t max = s->commands[client].row->bytes_max;
	bool too_long = max > 0 && out->len > max;

	if (too_long && !s->metrics.complained)
		log_line(LOG_LEVEL_ERROR,
			 "metrics: the processes report more than %zu bytes; there are none until "
			 "it is less",
			 max);
	if (max > 0)
		s->metrics.complained = too_long;
	if (too_long)
		refuse(s, client, "the report is too long; see the log");
	return too_long;
}

/* All answers are there, or will not come. What one process does not tell, the others' is shown
 * with; nothing at all is an error. */
static void finish(struct supervisor *s, unsigned client)
{
	struct command *command = &s->commands[client];
	bool any = command->row->own;
	struct buf out;

	buf_init(&out, 2 * QUESTION_ANSWER_BYTES_MAX + 32768);
	buf_add_str(&out, "ok\n");
	if (command->row->own)
		add_own(s, command, &out);
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		if (command->questions[i].answered)
			any = add_answer((enum child_id)i, &command->questions[i], &out) || any;
	}
	if (is_too_long(s, client, &out)) {
		/* said */
	} else if (any) {
		forget(command);
		control_answer(&s->control, client, buf_slice(&out));
	} else {
		refuse(s, client, "the signer process does not answer; see the log");
	}
	buf_done(&out);
}

static bool is_waiting(const struct command *command)
{
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		if (command->questions[i].number != 0 && !command->questions[i].answered)
			return true;
	}
	return command->generation != 0;
}

void supervisor_control_answered(struct supervisor *s, enum child_id id, uint32_t number)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct command *command = &s->commands[i];

		if (command->row == NULL || command->questions[id].number != number)
			continue;
		command->questions[id].answered = true;
		if (!is_waiting(command))
			finish(s, i);
	}
}

/* A new PIN changes nothing that there are warnings about. */
static void answer_reloaded(struct supervisor *s, unsigned client)
{
	struct command *command = &s->commands[client];
	const struct generation *g = s->current;
	bool whole = !command->row->wants_one && g->number == command->generation;
	char more[64];
	struct buf out;

	buf_init(&out, QUESTION_ANSWER_BYTES_MAX);
	buf_add_str(&out, "ok\n");
	if (!command->row->wants_one)
		report_section(&out, SECTION_WARNINGS);
	for (size_t i = 0; whole && i < g->warnings.count; i++) {
		report_text(&out, slice_str(g->warnings.texts[i]));
		report_end_row(&out);
	}
	if (whole && g->warnings_more > 0) {
		(void)snprintf(more, sizeof(more), "%zu more: see the log", g->warnings_more);
		report_text(&out, slice_str(more));
		report_end_row(&out);
	}
	forget(command);
	control_answer(&s->control, client, buf_slice(&out));
	buf_done(&out);
}

void supervisor_reload_ended(struct supervisor *s, uint32_t generation, const char *text)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (s->commands[i].row == NULL || s->commands[i].generation != generation)
			continue;
		if (strcmp(text, "ok") != 0)
			refuse(s, i, text);
		else
			answer_reloaded(s, i);
	}
}

void supervisor_control_tick(struct supervisor *s)
{
	int64_t now_ms = clock_mono_ms();

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (s->commands[i].row == NULL || now_ms < s->commands[i].deadline_ms)
			continue;
		if (s->commands[i].row->reloads)
			refuse(s, i, "it takes too long; see the log");
		else
			finish(s, i);
	}
}

int64_t supervisor_control_wait_ms(const struct supervisor *s)
{
	int64_t now_ms = clock_mono_ms();
	int64_t wait_ms = control_wait_ms(&s->control);

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		int64_t left = s->commands[i].deadline_ms - now_ms;

		if (s->commands[i].row == NULL)
			continue;
		left = left > 0 ? left : 0;
		wait_ms = wait_ms < 0 || left < wait_ms ? left : wait_ms;
	}
	return wait_ms;
}

/* ---- requests ---- */

static const struct command_row *find_row(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (slice_eq(name, slice_str(rows[i].name)))
			return &rows[i];
	}
	return NULL;
}

static void begin_reload(struct supervisor *s, unsigned client, struct slice token)
{
	char *name = slice_dup(token);
	char shown[300];
	uint32_t number;

	if (name == NULL) {
		refuse(s, client, err_text(ERR_NOMEM));
		return;
	}
	log_line(LOG_LEVEL_INFO, "control socket: uid %lu asks for %s %s",
		 (unsigned long)s->control.clients[client].uid, s->commands[client].row->name,
		 text_sanitize(token, shown, sizeof(shown)));
	number = supervisor_reload(s, s->commands[client].row->wants_one ? name : NULL);
	free(name);
	s->commands[client].generation = number;
	s->commands[client].deadline_ms = clock_mono_ms() + RELOAD_ANSWER_MS;
	if (number == 0)
		refuse(s, client, s->reload.text);
}

static void ask_children(struct supervisor *s, unsigned client, const char *line)
{
	struct command *command = &s->commands[client];

	command->deadline_ms = clock_mono_ms() + ANSWER_MS;
	for (unsigned i = 0; i < CHILD_COUNT; i++) {
		if (command->row->asks[i])
			supervisor_ask(s, (enum child_id)i, line, &command->questions[i]);
	}
	if (!is_waiting(command))
		finish(s, client);
}

static const char *complaint(const struct command_row *row, struct slice argument, bool metrics)
{
	if (row == NULL)
		return "no such command: status, tokens, keys, reload, relogin or metrics";
	if (metrics && !slice_eq(slice_str(row->name), SLICE_LIT("metrics")))
		return "not for you";
	if (row->wants_one && argument.len == 0)
		return "name a token";
	if (!row->argument && argument.len > 0)
		return "the command takes no argument";
	return slice_find(argument, '\0') != argument.len ? "the argument holds a NUL" : NULL;
}

static void on_request(void *ctx, unsigned client, struct slice line)
{
	struct supervisor *s = ctx;
	size_t blank = slice_find(line, ' ');
	struct slice argument = slice_trim(slice_sub(line, blank, line.len));
	const struct command_row *row = find_row(slice_sub(line, 0, blank));
	const char *why = complaint(row, argument, s->control.clients[client].stays);
	char text[CONTROL_LINE_BYTES_MAX + 1];

	s->commands[client] = (struct command){ .row = row };
	if (why != NULL) {
		refuse(s, client, why);
	} else if (row->reloads) {
		begin_reload(s, client, argument);
	} else {
		(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(line));
		ask_children(s, client, text);
	}
}
