/* The log as the settings want it: see logsetup.h. */
#include "config/logsetup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_VARIABLE "JOURNAL_STREAM"

/* "DEVICE:INODE" of what systemd connected to the journal: a shell that we were started from may
 * have it, too, with another standard error. */
void logsetup_find_journal(void)
{
	const char *journal = getenv(JOURNAL_VARIABLE);
	char own[64];
	struct stat st;

	if (journal == NULL)
		return;
	if (fstat(STDERR_FILENO, &st) == 0) {
		(void)snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev,
			       (unsigned long long)st.st_ino);
		if (slice_eq(slice_str(own), slice_str(journal)))
			return;
	}
	(void)unsetenv(JOURNAL_VARIABLE);
}

void logsetup_apply_to(const struct settings *s, const struct log_sink *terminal)
{
	struct log_options options = {
		.ident = s->syslog_name,
		.facility = s->syslog_facility,
		.max = s->milter_debug > 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		.sinks = { terminal, s->syslog ? &log_sink_syslog : NULL },
	};

	log_open(&options);
}

void logsetup_apply(const struct settings *s)
{
	bool twice = s->syslog && getenv(JOURNAL_VARIABLE) != NULL;

	logsetup_apply_to(s, twice ? NULL : &log_sink_stderr);
}

void logsetup_warnings(struct settings_warnings *warnings)
{
	for (size_t i = 0; i < warnings->count; i++)
		log_line(LOG_LEVEL_WARNING, "%s", warnings->texts[i]);
	settings_warnings_done(warnings);
}
