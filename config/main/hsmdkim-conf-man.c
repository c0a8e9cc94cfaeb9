/* Build tool: copies a manual page, a line "@SETTINGS@" in it becomes the table of settings. */
#include <stdio.h>
#include <string.h>

#include "config/settings.h"

static int copy(FILE *in, FILE *out)
{
	char line[4096];

	while (fgets(line, sizeof(line), in) != NULL) {
		if (strcmp(line, "@SETTINGS@\n") == 0)
			settings_print_man(out);
		else
			(void)fputs(line, out);
	}
	return ferror(in) || ferror(out);
}

int main(int argc, char **argv)
{
	FILE *in = argc == 3 ? fopen(argv[1], "r") : NULL;
	FILE *out = in != NULL ? fopen(argv[2], "w") : NULL;
	int failed = out != NULL ? copy(in, out) : 1;

	if (out != NULL && fclose(out) != 0)
		failed = 1;
	if (in != NULL)
		(void)fclose(in);
	if (failed)
		(void)fprintf(stderr, "usage: hsmdkim-conf-man TEMPLATE PAGE\n");
	return failed;
}
