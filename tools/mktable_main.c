/* hsmdkim-mktable: command line. */
#include "tools/exits.h"
#include "tools/mktable.h"
#include "tools/options.h"

#include <stdio.h>
#include <stdlib.h>

struct mktable_options {
	const char *type;
	unsigned verbose;
};

#define FIELD(name) offsetof(struct mktable_options, name)

/* clang-format off */
static const struct option_row rows[] = {
	{ 't', OPTION_STRING, "type", "TYPE", FIELD(type), "keytable, signingtable or list", 0, 0 },
	{ 'v', OPTION_COUNT, "verbose", NULL, FIELD(verbose), "say how many rows were written", 0, 0 },
};
/* clang-format on */

static const struct option_spec spec = {
	.program = "hsmdkim-mktable",
	.synopsis = "-t TYPE TABLE OUT.lmdb",
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.examples =
		"  hsmdkim-mktable -t keytable /etc/dkimkeys/KeyTable /etc/dkimkeys/KeyTable.lmdb\n"
		"  hsmdkim-mktable -t signingtable file:SigningTable SigningTable.lmdb\n",
	.usage_exit = EX_USAGE,
};

/* A name without a prefix is a file here, never a list. */
static char *table_spec(const char *operand)
{
	struct slice s = slice_str(operand);
	bool plain = slice_find(s, ':') == s.len;
	size_t room = s.len + sizeof("file:");
	char *text = malloc(room);

	if (text != NULL)
		(void)snprintf(text, room, "%s%s", plain ? "file:" : "", operand);
	return text;
}

int mktable_main(int argc, char **argv)
{
	AUTO(files_free) struct files *files = NULL;
	struct mktable_options o = { .type = NULL };
	struct err_detail detail = { "" };
	enum mktable_type type;
	int operand = argc;
	int status = EX_USAGE;
	size_t count = 0;
	char *table;
	enum err e;

	if (!options_parse(&spec, argc, argv, &o, &operand, &status))
		return status;
	if (o.type != NULL && !mktable_type_find(o.type, &type))
		return options_complain(&spec,
					"-t %s: there is no such type: keytable, signingtable or "
					"list",
					o.type);
	if (o.type == NULL)
		return options_complain(&spec, "say what the table is for: -t keytable, -t "
					       "signingtable, or -t list");
	if (argc - operand != 2)
		return options_complain(&spec, "name the table and the file to write");
	files = files_new_real();
	table = table_spec(argv[operand]);
	e = files != NULL && table != NULL
		    ? mktable_build(type, table, files, argv[operand + 1], &count, &detail)
		    : ERR_NOMEM;
	free(table);
	if (e != ERR_OK)
		return exits_report(spec.program, e, &detail);
	if (o.verbose != 0)
		(void)fprintf(stderr, "%s: %zu row%s written to %s\n", spec.program, count,
			      count == 1 ? "" : "s", argv[operand + 1]);
	return EX_OK;
}
