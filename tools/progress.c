/* A progress bar on a terminal. */
#include "tools/progress.h"

#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

#define BAR_COLUMNS 30U

void progress_start(struct progress *p, size_t total)
{
	p->total = total;
	p->on_terminal = isatty(STDERR_FILENO) == 1;
}

void progress_show(const struct progress *p, size_t done, struct slice what)
{
	static const char marks[] = "##############################";
	static const char dots[] = "..............................";
	size_t filled = p->total != 0 ? BAR_COLUMNS * done / p->total : BAR_COLUMNS;
	char text[40];

	if (!p->on_terminal)
		return;
	(void)fprintf(stderr, "\r[%.*s%.*s] %zu/%zu %-39s", (int)filled, marks,
		      (int)(BAR_COLUMNS - filled), dots, done, p->total,
		      text_sanitize(what, text, sizeof(text)));
	(void)fflush(stderr);
}

void progress_end(const struct progress *p)
{
	if (p->on_terminal)
		(void)fputc('\n', stderr);
}
