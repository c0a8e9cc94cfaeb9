/* hsmdkim.conf(5): the part that is made from the table. mdoc(7). */
#include "config/settings_priv.h"

/* Dots and quotes at the start of a line are requests, a backslash is an escape. */
static void put_escaped(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		(void)fputs("\\&", out);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			(void)fputs("\\e", out);
		else
			(void)fputc(*text, out);
	}
}

/* mdoc wants each sentence on a line of its own. */
static void put_sentences(const char *text, FILE *out)
{
	char line[1024];

	while (*text != '\0') {
		const char *end = text;
		size_t len;

		while (*end != '\0' && !((end[0] == '.' || end[0] == ':') && end[1] == ' ' &&
					 end[2] >= 'A' && end[2] <= 'Z' && end[0] == '.'))
			end++;
		if (*end != '\0')
			end++;
		len = (size_t)(end - text);
		(void)snprintf(line, sizeof(line), "%.*s", (int)len, text);
		put_escaped(line, out);
		(void)fputc('\n', out);
		text = end;
		while (*text == ' ')
			text++;
	}
}

static void put_setting(const struct setting_row *row, FILE *out)
{
	(void)fprintf(out, ".It Cm %s Pq %s\n", row->name, setting_type_name(row));
	put_sentences(row->man, out);
	if (row->words != NULL || row->min != NULL) {
		char expects[256];

		(void)fprintf(out, "Allowed: %s.\n",
			      setting_expects(row, expects, sizeof(expects)));
	}
	if (row->def != NULL)
		(void)fprintf(out, "Default:\n.Ql %s .\n", row->def);
	if (row->start_only)
		(void)fputs("A change takes effect at the next start.\n", out);
}

void settings_print_man(FILE *out)
{
	(void)fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < SETTING_ID_COUNT; i++)
		put_setting(&settings_rows[i], out);
	(void)fputs(".El\n", out);
}
