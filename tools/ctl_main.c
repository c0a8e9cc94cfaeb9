/* hsmdkim-ctl: command line and output. */
#include "config/settings.h"
#include "report/prometheus.h"
#include "report/report.h"
#include "tools/ctl.h"
#include "tools/exits.h"
#include "tools/toolconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the daemon sends at most, and what its cells become with names and blanks around them. */
#define ANSWER_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define OUTPUT_BYTES_MAX ((size_t)256 * 1024 * 1024)

#define FIELD(name) offsetof(struct ctl_options, name)

/* clang-format off */
static const struct option_row rows[] = {
	{ 'j', OPTION_FLAG, "json", NULL, FIELD(json), "print JSON instead of a table", 0, 0 },
	{ 'S', OPTION_STRING, "socket", "PATH", FIELD(socket), "the control socket (default: ControlSocket)", 0, 0 },
	{ 't', OPTION_UINT, "timeout", "SECONDS", FIELD(timeout_s), "wait this long for the answer (default: 90)", 1, 3600 },
	{ 'x', OPTION_STRING, "config", "FILE", FIELD(config), "the configuration (default: /etc/hsmdkim.conf)", 0, 0 },
};
/* clang-format on */

const struct option_spec ctl_spec = {
	.program = "hsmdkim-ctl",
	.synopsis = "[options] status|tokens|keys [NAME]|reload|relogin TOKEN|metrics",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.examples = "  hsmdkim-ctl tokens\n"
		    "  hsmdkim-ctl --json status\n"
		    "  hsmdkim-ctl relogin hsm-a\n",
	.usage_exit = EX_USAGE,
};

struct command {
	const char *name;
	int arguments_min;
	int arguments_max;
};

static const struct command commands[] = {
	{ "status", 0, 0 }, { "tokens", 0, 0 },	 { "keys", 0, 1 },
	{ "reload", 0, 0 }, { "relogin", 1, 1 }, { "metrics", 0, 0 },
};

/* @return NULL: options_complain() was called */
static const struct command *find_command(int count, char **words)
{
	if (count == 0) {
		(void)options_complain(&ctl_spec, "say what to do");
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, words[0]) != 0)
			continue;
		if (count - 1 >= c->arguments_min && count - 1 <= c->arguments_max)
			return c;
		(void)options_complain(&ctl_spec, "%s takes %s", c->name,
				       c->arguments_min == 1   ? "the name of a token"
				       : c->arguments_max == 1 ? "one name at most"
							       : "no argument");
		return NULL;
	}
	(void)options_complain(&ctl_spec, "no such command: %s", words[0]);
	return NULL;
}

/* The setting, or the option. @param ret_path the caller frees it */
static enum err find_socket(const struct ctl_options *o, char **ret_path, struct err_detail *detail)
{
	const char *config = o->config != NULL ? o->config : TOOLCONF_DEFAULT_PATH;
	AUTO(settings_free) struct settings *s = settings_new();
	const char *path = o->socket;
	enum err e = s != NULL ? ERR_OK : ERR_NOMEM;

	if (e == ERR_OK && path == NULL) {
		e = settings_load_file(s, config, &settings_reader_files, NULL, detail);
		path = s->control_socket;
	}
	if (e != ERR_OK)
		return e;
	if (path == NULL) {
		err_detail_set(detail, "%s has no ControlSocket: set it, restart hsmdkim", config);
		return ERR_CONFIG;
	}
	*ret_path = slice_dup(slice_str(path));
	return *ret_path != NULL ? ERR_OK : ERR_NOMEM;
}

/* As other tools do: a line each on standard error. */
static void print_warnings(struct slice report)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	struct report_section s;

	while (report_next_section(&report, &s)) {
		while (report_next_row(&s, cells))
			(void)fprintf(stderr, "%s: warning: %.*s\n", ctl_spec.program,
				      SLICE_FMT(cells[0]));
	}
}

static enum err print(const struct ctl_options *o, const struct command *command,
		      struct slice report)
{
	struct slice text;
	struct buf out;
	enum err e;

	buf_init(&out, OUTPUT_BYTES_MAX);
	if (o->json)
		report_to_json(report, &out);
	else if (strcmp(command->name, "reload") == 0)
		print_warnings(report);
	else if (strcmp(command->name, "metrics") == 0)
		report_to_prometheus(report, &out);
	else
		report_to_table(report, &out);
	e = buf_finish(&out, &text);
	if (e == ERR_OK &&
	    (fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0))
		e = ERR_IO;
	buf_done(&out);
	return e;
}

/* A name that was asked for and is not there. */
static enum err check_found(const char *name, struct slice report, struct err_detail *detail)
{
	struct report_section section;
	struct slice cells[REPORT_COLUMNS_MAX];

	while (report_next_section(&report, &section))
		if (report_next_row(&section, cells))
			return ERR_OK;
	err_detail_set(detail, "no key has the name %s; 'hsmdkim-ctl keys' lists them", name);
	return ERR_NOT_FOUND;
}

static int status_for(enum err e, const struct err_detail *detail)
{
	int status = exits_report(ctl_spec.program, e, detail);

	if (e == ERR_NOT_SUPPORTED)
		return EX_TEMPFAIL; /* the daemon said why not */
	return e == ERR_DENIED ? EX_NOPERM : status;
}

static int run(const struct ctl_options *o, const struct command *command, const char *argument)
{
	struct err_detail detail = { "" };
	struct slice report = SLICE_LIT("");
	char *path = NULL;
	struct buf line;
	struct buf answer;
	enum err e = find_socket(o, &path, &detail);

	buf_init(&line, 1024);
	buf_init(&answer, ANSWER_BYTES_MAX);
	buf_add_fmt(&line, "%s%s%s", command->name, argument != NULL ? " " : "",
		    argument != NULL ? argument : "");
	if (e == ERR_OK)
		e = line.error;
	if (e == ERR_OK)
		e = ctl_ask(path, line.data, (int)o->timeout_s * 1000, &answer, &report, &detail);
	if (e == ERR_OK)
		e = print(o, command, report);
	if (e == ERR_OK && argument != NULL && strcmp(command->name, "keys") == 0)
		e = check_found(argument, report, &detail);
	if (e == ERR_OK && argument != NULL && strcmp(command->name, "relogin") == 0)
		e = ctl_wait_for_login(path, argument, (int)o->timeout_s * 1000, &detail);
	buf_done(&line);
	buf_done(&answer);
	free(path);
	return e == ERR_OK ? EX_OK : status_for(e, &detail);
}

int ctl_main(int argc, char **argv)
{
	struct ctl_options o = { .timeout_s = 90 };
	const struct command *command;
	int operand = argc;
	int status = EX_USAGE;

	if (!options_parse(&ctl_spec, argc, argv, &o, &operand, &status))
		return status;
	command = find_command(argc - operand, argv + operand);
	if (command == NULL)
		return EX_USAGE;
	return run(&o, command, operand + 1 < argc ? argv[operand + 1] : NULL);
}
