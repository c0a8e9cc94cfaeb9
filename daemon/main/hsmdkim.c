/* hsmdkim(8): the supervisor, and, with a hidden first argument, the milter process. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "base/buf.h"
#include "daemon/check.h"
#include "daemon/cmdline.h"
#include "daemon/milter.h"
#include "daemon/milterproc.h"
#include "daemon/query.h"
#include "daemon/supervisor.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* The command line in the first log line is cut at this many bytes. */
#define ARGUMENTS_MAX 1024u

static int print_version(void)
{
	char milter[32];

	milter_version(milter, sizeof(milter));
	(void)printf("hsmdkim v" HSMDKIM_VERSION "\n"
		     "\tlibmilter %s\n"
		     "\t%s\n"
		     "\tSupported signing algorithms:\n"
		     "\t\trsa-sha256\n"
		     "\t\ted25519-sha256\n"
		     "\tSupported canonicalization algorithms:\n"
		     "\t\trelaxed\n"
		     "\t\tsimple\n",
		     milter, OpenSSL_version(OPENSSL_VERSION));
	return EX_OK;
}

static int run_supervisor(const struct cmdline *options, int argc, char **argv)
{
	struct supervisor_options supervisor = { .source = options->source,
						 .foreground = options->foreground };
	char *path = NULL;
	struct buf arguments;
	int status;

	buf_init(&arguments, ARGUMENTS_MAX);
	for (int i = 1; i < argc; i++) {
		if (i > 1)
			buf_add_ch(&arguments, ' ');
		buf_add_str(&arguments, argv[i]);
	}
	supervisor.arguments = slice_empty(buf_slice(&arguments)) ? "" : arguments.data;
	/* BaseDirectory changes the directory, and the file is read again on reload. */
	if (options->source.path != NULL)
		path = realpath(options->source.path, NULL);
	if (path != NULL)
		supervisor.source.path = path;
	status = supervisor_main(&supervisor);
	free(path);
	buf_done(&arguments);
	return status;
}

int main(int argc, char **argv)
{
	struct cmdline options;
	int status;

	if (argc == 2 && strcmp(argv[1], MILTERPROC_ARGUMENT) == 0)
		return milterproc_main();
	status = cmdline_parse(argc, argv, &options);
	if (status != EX_OK)
		return status;
	if (options.help) {
		cmdline_print_usage("hsmdkim", stdout);
		return EX_OK;
	}
	if (options.version)
		return print_version();
	if (options.query)
		return query_dataset();
	if (options.show != NULL)
		return query_setting(&options.source, options.show);
	if (options.test.files != NULL)
		return testmode_run(&options.source, &options.test);
	if (options.check)
		return check_configuration(&options.source);
	return run_supervisor(&options, argc, argv);
}
