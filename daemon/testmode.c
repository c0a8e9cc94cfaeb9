/* hsmdkim -t: see testmode.h. */
#include "daemon/testmode.h"

#include "base/log.h"
#include "config/logsetup.h"
#include "daemon/child.h"
#include "daemon/keysource.h"
#include "daemon/message.h"
#include "daemon/ownsigner.h"
#include "daemon/sandbox.h"
#include "daemon/testfile.h"
#include "daemon/testmta.h"
#include "daemon/testreport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define FILES_MAX 256u
#define STDIN_NAME "(stdin)"
#define RECIPIENT "<recipient@example.com>"

/* Opened with the rights of the start, read when it is its turn. */
struct input {
	const char *name;
	int fd;	   /* -1: it could not be opened */
	int error; /* then: why */
};

struct run {
	const struct testmode_options *options;
	struct generation *generation;
	bool strict; /* StrictTestMode */
	struct milter_env env;
	struct ownsigner signer;
	struct arena *arena;
	struct testmta mta;
	struct testreport report;
	char *names; /* what the inputs' names point into */
	struct input inputs[FILES_MAX];
	size_t inputs_count;

	/* Of the message that is looked at. */
	struct message_peer peer;
	struct message *message;
	bool ended; /* with the end of its header: nothing more is read of it */
	bool any_body;
	int status; /* EX_... */
};

/* -F: of no use to two runs at once, and there is one. */
static int64_t fixed_time_s;

static int64_t fixed_wall_s(void)
{
	return fixed_time_s;
}

static const struct clock_ops clock_fixed = { .wall_s = fixed_wall_s, .mono_ms = clock_mono_ms };

/* --- one message --------------------------------------------------------------------------------
 */

static bool take_header(void *ctx, const char *name, const char *value, size_t line)
{
	struct run *r = ctx;

	message_header(r->message, slice_str(name), slice_str(value));
	testreport_header(&r->report, line);
	return true;
}

static bool take_end_headers(void *ctx, bool any)
{
	struct run *r = ctx;
	const struct mta mta = testmta_mta(&r->mta);
	enum answer answer = ANSWER_CONTINUE;

	if (!any)
		testreport_complain(&r->report, "warning: no headers on input");
	message_end_headers(r->message, &mta);
	r->ended = message_settled(r->message);
	if (r->ended)
		answer = message_answer(r->message, &mta);
	testreport_step(&r->report, "eoh", answer);
	if (r->ended && answer == ANSWER_ACCEPT)
		testreport_passed(&r->report);
	else if (r->ended)
		r->status = EX_SOFTWARE;
	return !r->ended;
}

static void take_body(void *ctx, struct slice line)
{
	struct run *r = ctx;

	if (!r->any_body)
		testreport_step(&r->report, "body", ANSWER_CONTINUE);
	r->any_body = true;
	message_body(r->message, line.ptr, line.len);
}

/* @return an exit status */
static int walk(struct run *r, struct slice text)
{
	const struct testfile_steps steps = {
		.header = take_header,
		.end_headers = take_end_headers,
		.body = take_body,
		.ctx = r,
	};
	const struct mta mta = testmta_mta(&r->mta);
	struct err_detail detail = { "" };
	enum err err = testfile_walk(text, r->strict, &steps, &detail);

	if (err != ERR_OK) {
		testreport_complain(&r->report,
				    detail.text[0] != '\0' ? detail.text : err_text(err));
		return err == ERR_SYNTAX ? EX_DATAERR : EX_OSERR;
	}
	if (r->ended)
		return r->status;
	message_end(r->message, &mta);
	testreport_step(&r->report, "eom", message_answer(r->message, &mta));
	if (!message_passes(r->message))
		return testreport_results(&r->report, r->message);
	testreport_passed(&r->report);
	return EX_OK;
}

static int run_text(struct run *r, struct slice text)
{
	enum err err = message_begin(&r->env, r->arena, &r->peer, &r->message);
	int status;

	if (err != ERR_OK) {
		testreport_complain(&r->report, err_text(err));
		return EX_OSERR;
	}
	r->ended = r->any_body = false;
	r->status = EX_OK;
	testreport_step(&r->report, "envfrom", ANSWER_CONTINUE);
	message_recipient(r->message, SLICE_LIT(RECIPIENT));
	testreport_step(&r->report, "envrcpt", ANSWER_CONTINUE);
	status = walk(r, text);
	message_done(&r->message);
	arena_reset(r->arena);
	return status;
}

static int run_input(struct run *r, const struct input *input)
{
	struct buf text;
	enum err err;
	int status;

	r->report.file = input->name;
	if (input->fd < 0) {
		char why[128];

		(void)snprintf(why, sizeof(why), "fopen(): %s", strerror(input->error));
		testreport_complain(&r->report, why);
		return EX_UNAVAILABLE;
	}
	buf_init(&text, TESTFILE_BYTES_MAX);
	err = testfile_read(input->fd, &text);
	if (err == ERR_OK) {
		status = run_text(r, buf_slice(&text));
	} else {
		testreport_complain(&r->report, err == ERR_IO ? strerror(errno) : err_text(err));
		status = err == ERR_IO ? EX_UNAVAILABLE : EX_DATAERR;
	}
	buf_done(&text);
	return status;
}

/* As OpenDKIM: the first file that cannot be dealt with is the last. */
static int run_all(struct run *r)
{
	int status = EX_OK;

	testreport_step(&r->report, "connect", ANSWER_CONTINUE);
	for (size_t i = 0; i < r->inputs_count && status == EX_OK; i++)
		status = run_input(r, &r->inputs[i]);
	r->report.file = NULL;
	if (status == EX_OK)
		testreport_step(&r->report, "close", ANSWER_CONTINUE);
	return status;
}

/* --- start and end ------------------------------------------------------------------------------
 */

static enum err open_inputs(struct run *r, struct err_detail *detail)
{
	char *rest;
	char *name;

	r->names = slice_dup(slice_str(r->options->files));
	if (r->names == NULL)
		return ERR_NOMEM;
	for (name = strtok_r(r->names, ",", &rest); name != NULL;
	     name = strtok_r(NULL, ",", &rest)) {
		struct input *input = &r->inputs[r->inputs_count];
		bool is_stdin = strcmp(name, "-") == 0;

		if (r->inputs_count == FILES_MAX) {
			err_detail_set(detail, "-t: more than %u files", FILES_MAX);
			return ERR_LIMIT;
		}
		input->name = is_stdin ? STDIN_NAME : name;
		input->fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
		input->error = errno;
		r->inputs_count++;
	}
	return ERR_OK;
}

/* Without -v: what is wrong, and no line for what went well. */
static void write_warnings(void *ctx, enum log_level level, const char *line)
{
	if (level <= LOG_LEVEL_WARNING)
		log_sink_stderr.write(ctx, level, line);
}

static const struct log_sink quiet_sink = { .write = write_warnings };

static bool wants_signer(const struct settings *s)
{
	return (s->mode & MODE_SIGN) != 0 && (s->key_table != NULL || s->key_file != NULL);
}

static enum err take_tables(struct run *r, struct err_detail *detail)
{
	struct generation *g = r->generation;
	struct snapshot *snapshot = NULL;
	enum err err;

	r->env.slot = snapshot_slot_new();
	if (r->env.slot == NULL)
		return ERR_NOMEM;
	err = keysource_open(g->settings, g->milter, &r->env.dns, &r->env.dnssec, detail);
	if (err != ERR_OK)
		return err;
	err = snapshot_new(g->number, g->settings, g->milter, &snapshot, detail);
	g->settings = NULL; /* the snapshot's now */
	g->milter = NULL;
	if (err == ERR_OK)
		snapshot_switch(r->env.slot, snapshot);
	return err;
}

/* Mail is parsed without root's rights when UserID is set. */
static enum err fall(const struct settings *s, struct err_detail *detail)
{
	struct userid user = { .set = false };
	enum err err = ERR_OK;

	if (s->user_id != NULL)
		err = userid_find("UserID", s->user_id, &user, detail);
	return err == ERR_OK ? child_become(&user, detail) : err;
}

/* The log is as the settings want it from here on. */
static enum err read_settings(struct run *r, const struct generation_source *source,
			      struct err_detail *detail)
{
	struct settings_warnings warnings = { NULL, 0 };
	enum err err = generation_read(source, NULL, 1, &r->generation, &warnings, detail);

	if (err == ERR_OK) {
		const struct settings *s = r->generation->settings;

		r->strict = s->strict_test_mode;
		logsetup_apply_to(s, r->options->verbose > 0 ? &log_sink_stderr : &quiet_sink);
	}
	logsetup_warnings(&warnings);
	return err;
}

/* PINs and keys are its own then: they are not kept where mail is parsed. */
static enum err start_signer(struct run *r, struct err_detail *detail)
{
	struct generation *g = r->generation;
	enum err err = ERR_OK;

	if (wants_signer(g->settings))
		err = ownsigner_start(g, r->options->verbose == 0, &r->signer, detail);
	r->env.signer = r->signer.client;
	files_free(&g->signer);
	return err;
}

static enum err prepare(struct run *r, const struct generation_source *source,
			struct err_detail *detail)
{
	enum err err = sandbox_lock_process(detail);

	if (err == ERR_OK)
		err = open_inputs(r, detail); /* before BaseDirectory */
	if (err == ERR_OK)
		err = generation_enter_base(source, NULL, detail);
	if (err == ERR_OK)
		err = read_settings(r, source, detail);
	if (err == ERR_OK)
		err = start_signer(r, detail);
	if (err == ERR_OK)
		err = fall(r->generation->settings, detail);
	return err == ERR_OK ? take_tables(r, detail) : err;
}

static void done(struct run *r)
{
	for (size_t i = 0; i < r->inputs_count; i++) {
		if (r->inputs[i].fd > STDIN_FILENO)
			(void)close(r->inputs[i].fd);
	}
	free(r->names);
	ownsigner_stop(&r->signer);
	if (r->env.slot != NULL)
		snapshot_slot_free(&r->env.slot);
	generation_free(&r->generation);
	arena_free(&r->arena);
	/* The source of key records stays: libunbound's threads end with the process. */
}

int testmode_run(const struct generation_source *source, const struct testmode_options *options)
{
	static struct run r; /* the source of key records is reachable to the end */
	struct generation_source verifying = *source;
	struct err_detail detail = { "" };
	enum err err = ERR_OK;
	int status = EX_CONFIG;

	fixed_time_s = options->time_s;
	verifying.mode = "v";
	r = (struct run){ .options = options,
			  .env = { .clock = options->fixed ? &clock_fixed : &clock_system },
			  .signer = { .control = -1 },
			  .peer = { .host = SLICE_LIT("localhost"), .leading_space = true },
			  .report = { .program = options->program, .verbose = options->verbose },
			  .arena = arena_new(MESSAGE_ARENA_BYTES) };
	r.mta = (struct testmta){ .tell = options->verbose > 1, .arena = r.arena };
	if (r.arena == NULL)
		err = ERR_NOMEM;
	if (err == ERR_OK)
		err = prepare(&r, &verifying, &detail);
	if (err == ERR_OK)
		status = run_all(&r);
	else
		testreport_complain(&r.report,
				    detail.text[0] != '\0' ? detail.text : err_text(err));
	done(&r);
	return status;
}
