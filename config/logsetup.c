/* The log as the settings want it: see logsetup.h. */
#include "config/logsetup.h"

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
	logsetup_apply_to(s, &log_sink_stderr);
}

void logsetup_warnings(struct settings_warnings *warnings)
{
	for (size_t i = 0; i < warnings->count; i++)
		log_line(LOG_LEVEL_WARNING, "%s", warnings->texts[i]);
	settings_warnings_done(warnings);
}
