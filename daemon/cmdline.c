/* The command line: see cmdline.h. */
#include "daemon/cmdline.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define YEAR_9999_S 253402300799u

/* One letter. The letters and their meaning are OpenDKIM's. */
struct option_row {
	char letter;
	const char *argument; /* its name; NULL: there is none */
	const char *help;
	const char *setting; /* NULL: no setting in short */
	const char *value;   /* of the setting; NULL: the argument */
};

static const struct option_row rows[] = {
	{ 'A', NULL, "start processes again that died", "AutoRestart", "yes" },
	{ 'b', "modes", "s: sign, v: verify, sv: both", "Mode", NULL },
	{ 'c', "canon", "canonicalization of header and body", "Canonicalization", NULL },
	{ 'd', "domains", "domains that are signed", "Domain", NULL },
	{ 'D', NULL, "sign their subdomains, too", "SubDomains", "yes" },
	{ 'e', "name", "print the value of a setting and exit", NULL, NULL },
	{ 'f', NULL, "stay in the foreground", NULL, NULL },
	{ 'F', "seconds", "the time of signatures, with -t", NULL, NULL },
	{ 'h', NULL, "print this text and exit; so does --help", NULL, NULL },
	{ 'k', "key", "the private key: a pkcs11: URI or a file", "KeyFile", NULL },
	{ 'l', NULL, "log to syslog", "Syslog", "yes" },
	{ 'L', "min[%+]", "least part of the body that l= must cover", "Minimum", NULL },
	{ 'n', NULL, "check the configuration and exit", NULL, NULL },
	{ 'o', "headers", "header fields that are not signed", "OmitHeaders", NULL },
	{ 'p', "socket", "where the MTA connects", "Socket", NULL },
	{ 'P', "file", "gets the process id", "PidFile", NULL },
	{ 'Q', NULL, "look rows of a data set up, from standard input", NULL, NULL },
	{ 'r', NULL, "reject mail with the wrong header fields", "RequiredHeaders", "yes" },
	{ 's', "selector", "selector of -k", "Selector", NULL },
	{ 'S', "algorithm", "accepted; the key decides", "SignatureAlgorithm", NULL },
	{ 't', "files", "sign or verify messages on files and exit", NULL, NULL },
	{ 'T', "seconds", "how long DNS may take", "DNSTimeout", NULL },
	{ 'u', "user[:group]", "whom to run as", "UserID", NULL },
	{ 'U', "file", "accepted, does nothing: POP before SMTP is gone", NULL, NULL },
	{ 'v', NULL, "say more, with -t; twice: all", NULL, NULL },
	{ 'V', NULL, "print the version and exit", NULL, NULL },
	{ 'W', NULL, "log why mail is signed, or not", "LogWhy", "yes" },
	{ 'x', "file", "the configuration file", NULL, NULL },
	{ 'X', NULL, "accepted, does nothing: old names never stop us", NULL, NULL },
};

/* A letter, and a ':' when it takes an argument; a ':' before all, and the NUL. */
#define LETTERS_BYTES (2 * ARRAY_LEN(rows) + 2)

void cmdline_print_usage(const char *program, FILE *out)
{
	(void)fprintf(out, "usage: %s [options]\n", program);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		(void)fprintf(out, "  -%c %-13s %s\n", rows[i].letter,
			      rows[i].argument != NULL ? rows[i].argument : "", rows[i].help);
}

static int usage(const char *program)
{
	cmdline_print_usage(program, stderr);
	return EX_USAGE;
}

static void make_letters(char *out)
{
	*out++ = ':';
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		*out++ = rows[i].letter;
		if (rows[i].argument != NULL)
			*out++ = ':';
	}
	*out = '\0';
}

static const struct option_row *row_of(int letter)
{
	size_t i = 0;

	while (rows[i].letter != letter)
		i++;
	return &rows[i];
}

/* @return NULL, or what is wrong */
static const char *add_setting(struct cmdline *o, const struct option_row *row,
			       const char *argument)
{
	struct generation_source *source = &o->source;

	if (source->overrides_count == GENERATION_OVERRIDES_MAX)
		return "too many options";
	source->overrides[source->overrides_count++] = (struct generation_override){
		.name = row->setting,
		.value = row->value != NULL ? row->value : argument,
	};
	return NULL;
}

static const char *take_time(struct cmdline *o, const char *argument)
{
	unsigned long long seconds;

	if (!slice_u64(slice_str(argument), &seconds) || seconds > YEAR_9999_S)
		return "invalid time value: write seconds since 1970";
	o->test.fixed = true;
	o->test.time_s = (int64_t)seconds;
	return NULL;
}

/* @return NULL, or what is wrong */
static const char *take(struct cmdline *o, const struct option_row *row, const char *argument)
{
	if (row->argument != NULL && *argument == '\0')
		return "needs an argument";
	if (row->setting != NULL)
		return add_setting(o, row, argument);
	switch (row->letter) {
	case 'e':
		o->show = argument;
		break;
	case 'f':
		o->foreground = true;
		break;
	case 'F':
		return take_time(o, argument);
	case 'h':
		o->help = true;
		break;
	case 'n':
		o->check = true;
		break;
	case 'Q':
		o->query = true;
		break;
	case 't':
		o->test.files = argument;
		break;
	case 'v':
		o->test.verbose++;
		break;
	case 'V':
		o->version = true;
		break;
	case 'x':
		o->source.path = argument;
		break;
	default: /* U and X */
		(void)fprintf(stderr, "%s: warning: -%c is %s\n", o->test.program, row->letter,
			      row->help);
		break;
	}
	return NULL;
}

/* What has a meaning with -t only. */
static void warn_without_test(const struct cmdline *o)
{
	if (o->test.files == NULL && (o->test.fixed || o->test.verbose > 0))
		(void)fprintf(stderr, "%s: warning: -%c does nothing without -t\n", o->test.program,
			      o->test.fixed ? 'F' : 'v');
}

int cmdline_parse(int argc, char **argv, struct cmdline *ret_options)
{
	const char *slash = strrchr(argv[0], '/');
	const char *program = slash != NULL ? slash + 1 : argv[0];
	struct cmdline options = { .test.program = program };
	char letters[LETTERS_BYTES];
	int letter;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		options.help = true;
		*ret_options = options;
		return EX_OK;
	}
	make_letters(letters);
	opterr = 0;
	optind = 0; /* from the start, also after a command line that was left half-way */
	while ((letter = getopt(argc, argv, letters)) != -1) {
		const char *wrong;

		if (letter == ':' || letter == '?') {
			(void)fprintf(stderr, "%s: %s -- '%c'\n", program,
				      letter == ':' ? "option needs an argument" : "unknown option",
				      optopt);
			return usage(program);
		}
		wrong = take(&options, row_of(letter), optarg);
		if (wrong != NULL) {
			(void)fprintf(stderr, "%s: -%c %s\n", program, letter, wrong);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: \"%s\" is no option\n", program, argv[optind]);
		return usage(program);
	}
	warn_without_test(&options);
	if (options.source.path == NULL && access(CMDLINE_DEFAULT_CONFIG, F_OK) == 0)
		options.source.path = CMDLINE_DEFAULT_CONFIG;
	*ret_options = options;
	return EX_OK;
}
