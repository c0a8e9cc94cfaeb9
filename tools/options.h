/*
 * Command lines from a table: one row an option makes the parser, its limits and the help. A row
 * writes into the program's own struct.
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum option_type {
	OPTION_FLAG,	/**< bool, true; --no-NAME and --noNAME set it false */
	OPTION_CLEAR,	/**< bool, false; --no-NAME and --noNAME set it true */
	OPTION_COUNT,	/**< unsigned, one more each time */
	OPTION_STRING,	/**< const char *, points into argv */
	OPTION_UINT,	/**< unsigned, decimal, from min to max */
	OPTION_VERSION, /**< a letter for --version */
	OPTION_TITLE,	/**< no option: a line in the help */
};

struct option_row {
	char letter; /**< 0: only the long name */
	enum option_type type;
	const char *name; /**< NULL: only the letter */
	const char *arg;  /**< what the help calls the value */
	size_t field;	  /**< offsetof(struct, field) */
	const char *help;
	unsigned min;
	unsigned max;
};

struct option_spec {
	const char *program;
	const char *synopsis;
	const struct option_row *rows;
	size_t count;
	const char *examples;
	int usage_exit; /**< exit status of a wrong command line */
};

/** Rows of one spec. */
#define OPTION_ROWS_MAX 64U

/**
 * Parse argv into target. --help and --version, which every program has, are answered here; errors
 * go to standard error with the option's name.
 * @param ret_operand  index of the first argument that is no option; unchanged when false
 * @param ret_exit     what to exit with when false
 * @return false: the program is to end
 */
NODISCARD bool options_parse(const struct option_spec *spec, int argc, char **argv, void *target,
			     int *ret_operand, int *ret_exit);

void options_print_help(const struct option_spec *spec, FILE *out);

/** "PROGRAM: what is wrong", "Try PROGRAM --help". @return spec->usage_exit */
int options_complain(const struct option_spec *spec, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
