/* hsmdkim-rotate: commands over the state file. */
#include "keytable/keytable.h"
#include "tools/exits.h"
#include "tools/outfile.h"
#include "tools/rotate_run.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400
#define STATE_BYTES_MAX ((size_t)256 * 1024 * 1024)

const struct rotate_options rotate_defaults = {
	.state = "/var/lib/hsmdkim/rotate.state",
	.publish = "print",
	.port = 53,
	.keep_days = 14,
	.grace_days = 14,
	.every_days = 180,
	.ttl_s = 3600,
};

#define FIELD(name) offsetof(struct rotate_options, name)

/* clang-format off */
static const struct option_row rows[] = {
	{ 'x', OPTION_STRING, "config", "FILE", FIELD(config), "the configuration (default: /etc/hsmdkim.conf)", 0, 0 },
	{ 'k', OPTION_STRING, "key", "NAME", FIELD(key), "only this key of the KeyTable", 0, 0 },
	{ 0, OPTION_STRING, "state", "FILE", FIELD(state), "default: /var/lib/hsmdkim/rotate.state", 0, 0 },
	{ 0, OPTION_STRING, "publish", "HOW", FIELD(publish), "print (default), nsupdate, or the path of a program", 0, 0 },
	{ 0, OPTION_STRING, "tsig", "FILE", FIELD(tsig), "key file for nsupdate", 0, 0 },
	{ 0, OPTION_STRING, "server", "ADDRESS[@PORT]", FIELD(server), "server for nsupdate (default: the zone's primary)", 0, 0 },
	{ 0, OPTION_STRING, "reload", "PROGRAM", FIELD(reload), "reload hsmdkim with this (default: ControlSocket, else SIGHUP to PidFile)", 0, 0 },
	{ 0, OPTION_UINT, "keep", "DAYS", FIELD(keep_days), "keep the old record after the switch (default: 14)", 0, 3650 },
	{ 0, OPTION_UINT, "grace", "DAYS", FIELD(grace_days), "keep the old key after revoking (default: 14)", 0, 3650 },
	{ 0, OPTION_UINT, "every", "DAYS", FIELD(every_days), "begin anew after this time (default: 180)", 0, 3650 },
	{ 0, OPTION_UINT, "ttl", "SECONDS", FIELD(ttl_s), "TTL of the record (default: 3600)", 0, 2147483647 },
	{ 0, OPTION_UINT, "steps", "N", FIELD(steps), "do at most N steps", 1, 1000000 },
	{ 0, OPTION_STRING, "nameserver", "LIST", FIELD(nameservers), "ask these resolvers, ADDRESS[@PORT],...", 0, 0 },
	{ 0, OPTION_UINT, "port", "N", FIELD(port), "port of the zone's name servers (default: 53)", 1, 65535 },
	{ 0, OPTION_UINT, "timeout", "SECONDS", FIELD(timeout_s), "for one question (default: DNSTimeout)", 1, 120 },
	{ 0, OPTION_STRING, "module", "PATH", FIELD(module), "the PKCS#11 module", 0, 0 },
	{ 0, OPTION_STRING, "pin-source", "SOURCE", FIELD(pin_source), "file:PATH, credential:NAME or prompt", 0, 0 },
};
/* clang-format on */

const struct option_spec rotate_spec = {
	.program = "hsmdkim-rotate",
	.synopsis = "[options] status | plan | run | rollback",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.examples = "  hsmdkim-rotate -x /etc/hsmdkim.conf plan\n"
		    "  hsmdkim-rotate -x /etc/hsmdkim.conf -k mail run\n"
		    "  hsmdkim-rotate -x /etc/hsmdkim.conf --publish nsupdate --tsig "
		    "/etc/hsmdkim/tsig run\n"
		    "  hsmdkim-rotate -x /etc/hsmdkim.conf -k mail rollback\n",
	.usage_exit = EX_USAGE,
};

/* ---- the state file ---- */

static enum err load_state(struct rotate_run *run, struct err_detail *detail)
{
	AUTO(files_free) struct files *files = files_new_real();
	const char *path = run->options->state;
	struct slice text = SLICE_LIT("");
	enum err e = files == NULL ? ERR_NOMEM : ERR_OK;

	if (e != ERR_OK || !outfile_exists(path))
		return e;
	e = files_map(files, path, &text, detail);
	if (e == ERR_OK) {
		e = rotate_state_parse(text, &run->state, detail);
		if (e != ERR_OK)
			err_detail_prefix(detail, "%s: ", path);
	}
	return e;
}

enum err rotate_save(const struct rotate_run *run, struct err_detail *detail)
{
	struct slice text = SLICE_LIT("");
	struct buf out;
	enum err e;

	buf_init(&out, STATE_BYTES_MAX);
	rotate_state_print(&run->state, &out);
	e = buf_finish(&out, &text);
	if (e == ERR_OK)
		e = outfile_replace(run->options->state, text, 0600, detail);
	buf_done(&out);
	return e;
}

/* Two timers must not work on one state. The lock ends with the process. */
static enum err lock_state(const struct rotate_run *run, struct err_detail *detail)
{
	char path[PATH_MAX];
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s.lock", run->options->state) < PATH_MAX)
		fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err_detail_set(detail, "%s: cannot be created; does its folder exist?", path);
		return ERR_IO;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return ERR_OK; /* open until we end */
	(void)close(fd);
	err_detail_set(detail, "%s: another hsmdkim-rotate is at work", path);
	return ERR_BUSY;
}

/* ---- commands ---- */

static bool wanted(const struct rotate_run *run, const struct rotate_key *key)
{
	return run->options->key == NULL || strcmp(run->options->key, key->name) == 0;
}

static const char *time_text(int64_t seconds, char out[static 32])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		(void)snprintf(out, 32, "?");
	return out;
}

static void print_key(const struct rotate_run *run, const struct rotate_key *key)
{
	char since[32];
	char due[32];
	int64_t when = rotate_due(key->phase, key->since, &run->policy);

	if (key->since == 0)
		(void)printf("%s: not rotated so far\n", key->name);
	else
		(void)printf("%s: %s since %s, selector %s%s%s\n", key->name,
			     rotate_phase_word(key->phase), time_text(key->since, since),
			     key->old.selector != NULL ? key->old.selector : "?",
			     key->new.selector != NULL ? " -> " : "",
			     key->new.selector != NULL ? key->new.selector : "");
	(void)printf("  next: %s%s%s\n", rotate_step_text(rotate_step_of(key->phase)),
		     when > time(NULL) ? ", not before " : "",
		     when > time(NULL) ? time_text(when, due) : "");
	rotate_remind(run, key);
}

static enum err command_status(struct rotate_run *run, struct err_detail *detail)
{
	(void)detail;
	for (size_t i = 0; i < run->state.count; i++)
		if (wanted(run, &run->state.keys[i]))
			print_key(run, &run->state.keys[i]);
	return ERR_OK;
}

/* All steps that would follow, with the times at which each may come. */
static enum err command_plan(struct rotate_run *run, struct err_detail *detail)
{
	for (size_t i = 0; i < run->state.count; i++) {
		const struct rotate_key *key = &run->state.keys[i];
		enum rotate_phase phase = key->phase;
		int64_t now = time(NULL);
		int64_t at = key->since;
		char text[32];

		if (!wanted(run, key))
			continue;
		print_key(run, key);
		do {
			at = rotate_due(phase, at, &run->policy);
			at = at > now ? at : now;
			(void)printf("  %s  %s\n", time_text(at, text),
				     rotate_step_text(rotate_step_of(phase)));
			phase = rotate_phase_after(phase);
		} while (phase != ROTATE_DONE);
	}
	return rotate_reload_known(run, detail);
}

/* A first SIGTERM or SIGINT lets the step end: some soft tokens do not survive a writer that is
 * killed. A second one has its usual effect. */
static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number)
{
	(void)number;
	stop_asked = 1;
}

static void hold_signals(void)
{
	struct sigaction action = { .sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND };

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
}

/* Steps of one key until one must wait. @return ERR_BUSY: it waits, said so */
static enum err advance(struct rotate_run *run, struct rotate_key *key, unsigned *left,
			struct err_detail *detail)
{
	const enum rotate_phase began = key->phase;

	while (*left != 0 && stop_asked == 0) {
		enum rotate_step step = rotate_step_of(key->phase);
		enum err e;

		if (rotate_due(key->phase, key->since, &run->policy) > time(NULL))
			return ERR_OK;
		e = rotate_effect(run, key, detail);
		if (e == ERR_BUSY && key->phase == began) /* else it was printed a moment ago */
			rotate_remind(run, key);
		if (e != ERR_OK)
			return e;
		key->phase = rotate_phase_after(key->phase);
		key->since = time(NULL);
		e = rotate_save(run, detail);
		if (e != ERR_OK)
			return e;
		(void)printf("%s: done: %s\n", key->name, rotate_step_text(step));
		(void)fflush(stdout);
		--*left;
		if (key->phase == ROTATE_DONE)
			return ERR_OK; /* one rotation a run, however short --every is */
	}
	return ERR_OK;
}

/* One key's trouble is not another's: all get their turn, the worst is told. */
static enum err command_run(struct rotate_run *run, struct err_detail *detail)
{
	unsigned left = run->options->steps != 0 ? run->options->steps : UINT_MAX;
	enum err worst = ERR_OK;

	for (size_t i = 0; i < run->state.count; i++) {
		struct rotate_key *key = &run->state.keys[i];
		struct err_detail own = { { 0 } };
		enum err e;

		if (!wanted(run, key))
			continue;
		e = advance(run, key, &left, &own);
		if (e == ERR_OK)
			continue;
		if (own.text[0] == '\0')
			err_detail_set(&own, "%s", err_text(e));
		(void)fprintf(stderr, "%s: %s: %s: %s\n", rotate_spec.program, key->name,
			      e == ERR_BUSY ? "waiting"
					    : rotate_step_text(rotate_step_of(key->phase)),
			      own.text);
		if (e != ERR_BUSY && worst == ERR_OK) {
			worst = e;
			err_detail_set(detail, "%s failed; what was done is kept, run it again",
				       key->name);
		}
	}
	return worst;
}

static enum err command_rollback(struct rotate_run *run, struct err_detail *detail)
{
	struct rotate_key *key =
		run->options->key != NULL
			? rotate_state_find(&run->state, slice_str(run->options->key))
			: NULL;
	unsigned left = 2; /* switch and reload; the rest is run's */
	enum err e;

	if (key == NULL) {
		err_detail_set(detail, "name the key to roll back: -k NAME (see status)");
		return ERR_CONFIG;
	}
	if (!rotate_can_roll_back(key->phase)) {
		err_detail_set(detail, "%s is %s: its old record is not whole any more; rotate on",
			       key->name, rotate_phase_word(key->phase));
		return ERR_DENIED;
	}
	rotate_roll_back(key, time(NULL));
	e = rotate_save(run, detail);
	return e == ERR_OK ? advance(run, key, &left, detail) : e;
}

static const struct {
	const char *word;
	enum err (*run)(struct rotate_run *run, struct err_detail *detail);
	bool changes;
} commands[] = {
	{ "status", command_status, false },
	{ "plan", command_plan, false },
	{ "run", command_run, true },
	{ "rollback", command_rollback, true },
};

/* ---- set-up ---- */

static bool add_row(void *ctx, const struct keytable_row *row, const char *origin)
{
	struct rotate_run *run = ctx;

	(void)origin;
	if (rotate_state_find(&run->state, row->name) != NULL ||
	    slice_eq(row->domain, SLICE_LIT("%")))
		return true;
	return rotate_state_add(&run->state, row->name) != NULL;
}

/* Keys that were never rotated have a place in the state, too. */
static enum err add_table(struct rotate_run *run, struct err_detail *detail)
{
	AUTO(keytable_free) struct keytable *table = NULL;
	enum err e = ERR_CONFIG;

	if (run->conf->settings->key_table == NULL)
		err_detail_set(detail, "the configuration has no KeyTable (-x FILE)");
	else
		e = keytable_open(run->conf->settings->key_table, run->conf->files, &table, detail);
	return e == ERR_OK ? keytable_each(table, add_row, run) : e;
}

static enum err set_up(struct rotate_run *run, bool changes, struct err_detail *detail)
{
	const struct rotate_options *o = run->options;
	enum err e = toolconf_open(&(struct toolconf_request){ .program = rotate_spec.program,
							       .config = o->config,
							       .module = o->module,
							       .pin_source = o->pin_source,
							       .act_as_signer = true },
				   &run->conf, detail);

	if (e == ERR_OK && changes) /* it would be late to find that out behind the switch */
		e = rotate_reload_known(run, detail);
	if (e == ERR_OK && changes)
		e = lock_state(run, detail);
	if (e == ERR_OK)
		e = load_state(run, detail);
	if (e == ERR_OK)
		e = add_table(run, detail);
	if (e == ERR_OK && changes)
		e = toolconf_resolver(run->conf, o->nameservers, &run->resolver, detail);
	if (e == ERR_OK && o->key != NULL &&
	    rotate_state_find(&run->state, slice_str(o->key)) == NULL) {
		err_detail_set(detail, "the KeyTable has no key '%s'", o->key);
		e = ERR_CONFIG;
	}
	if (e == ERR_OK)
		run->timeout_ms = o->timeout_s != 0 ? (int)o->timeout_s * 1000
						    : toolconf_dns_timeout_ms(run->conf);
	return e;
}

static int run_command(const struct rotate_options *o, size_t command)
{
	struct rotate_run run = { .options = o,
				  .policy = { .keep_s = (int64_t)o->keep_days * DAY_S,
					      .grace_s = (int64_t)o->grace_days * DAY_S,
					      .every_s = (int64_t)o->every_days * DAY_S } };
	struct err_detail detail = { { 0 } };
	enum err e = set_up(&run, commands[command].changes, &detail);

	if (commands[command].changes)
		hold_signals();
	if (e == ERR_OK)
		e = commands[command].run(&run, &detail);
	dns_resolver_free(&run.resolver);
	rotate_state_done(&run.state);
	toolconf_free(&run.conf);
	return e == ERR_OK ? EX_OK : exits_report(rotate_spec.program, e, &detail);
}

int rotate_main(int argc, char **argv)
{
	struct rotate_options o = rotate_defaults;
	int operand = argc;
	int status = EX_USAGE;

	if (!options_parse(&rotate_spec, argc, argv, &o, &operand, &status))
		return status;
	for (size_t i = 0; i < ARRAY_LEN(commands) && operand + 1 == argc; i++)
		if (strcmp(argv[operand], commands[i].word) == 0)
			return run_command(&o, i);
	return options_complain(&rotate_spec, "say what to do: status, plan, run or rollback");
}
