/* The command line: see options.h. */
#include "daemon/options.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

/* Letters that are a setting in short. */
static const struct {
	char letter;
	const char *setting;
	const char *value; /* NULL: the option's argument */
} settings[] = {
	{ 'A', "AutoRestart", "yes" },	   { 'b', "Mode", NULL },
	{ 'c', "Canonicalization", NULL }, { 'd', "Domain", NULL },
	{ 'D', "SubDomains", "yes" },	   { 'k', "KeyFile", NULL },
	{ 'l', "Syslog", "yes" },	   { 'L', "Minimum", NULL },
	{ 'o', "OmitHeaders", NULL },	   { 'p', "Socket", NULL },
	{ 'P', "PidFile", NULL },	   { 'r', "RequiredHeaders", "yes" },
	{ 's', "Selector", NULL },	   { 'S', "SignatureAlgorithm", NULL },
	{ 'T', "DNSTimeout", NULL },	   { 'u', "UserID", NULL },
	{ 'W', "LogWhy", "yes" },
};

#define OPTION_LETTERS ":Ab:c:d:De:fF:k:lL:no:p:P:Qrs:S:t:T:u:vVWx:X"

static int usage(const char *program)
{
	(void)fprintf(stderr,
		      "usage: %s [-ADflnQrvVWX] [-b modes] [-c canon] [-d domains] [-e name] [-k "
		      "key] [-L min]\n"
		      "       [-o headers] [-p socket] [-P pidfile] [-s selector] [-S algorithm]\n"
		      "       [-T seconds] [-u user[:group]] [-x config]\n",
		      program);
	return EX_USAGE;
}

static bool add_setting(struct options *o, char letter, const char *argument)
{
	struct generation_source *source = &o->source;

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (settings[i].letter != letter)
			continue;
		if (source->overrides_count == GENERATION_OVERRIDES_MAX)
			return false;
		source->overrides[source->overrides_count++] = (struct generation_override){
			.name = settings[i].setting,
			.value = settings[i].value != NULL ? settings[i].value : argument,
		};
		return true;
	}
	return false;
}

static bool take(struct options *o, char letter, const char *argument)
{
	switch (letter) {
	case 'f':
		o->foreground = true;
		return true;
	case 'n':
		o->check = true;
		return true;
	case 'V':
		o->version = true;
		return true;
	case 'Q':
		o->query = true;
		return true;
	case 'e':
		o->show = argument;
		return true;
	case 'x':
		o->source.path = argument;
		return true;
	case 'v': /* more words in the test modes */
	case 'X': /* we may always be started by root */
		return true;
	default:
		return add_setting(o, letter, argument);
	}
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = { .foreground = false };
	int letter;

	opterr = 0;
	optind = 1;
	while ((letter = getopt(argc, argv, OPTION_LETTERS)) != -1) {
		if (letter == ':' || letter == '?') {
			(void)fprintf(stderr, "%s: %s -- '%c'\n", argv[0],
				      letter == ':' ? "option needs an argument" : "unknown option",
				      optopt);
			return usage(argv[0]);
		}
		if (!take(&options, (char)letter, optarg)) {
			(void)fprintf(stderr, "%s: option -%c is not supported\n", argv[0], letter);
			return usage(argv[0]);
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: \"%s\" is no option\n", argv[0], argv[optind]);
		return usage(argv[0]);
	}
	if (options.source.path == NULL && access(OPTIONS_DEFAULT_CONFIG, F_OK) == 0)
		options.source.path = OPTIONS_DEFAULT_CONFIG;
	*ret_options = options;
	return EX_OK;
}
