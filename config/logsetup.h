/* The log as the settings want it. */
#ifndef CONFIG_LOGSETUP_H
#define CONFIG_LOGSETUP_H

#include "base/log.h"
#include "config/settings.h"

/** As logsetup_apply(), with another place than standard error. */
void logsetup_apply_to(const struct settings *s, const struct log_sink *terminal);

/** Call once, before the first child: forgets JOURNAL_STREAM when it is not our standard error, so
 * that logsetup_apply(), here and in the children, need only look whether it is there. */
void logsetup_find_journal(void);

/** Syslog, SyslogName, SyslogFacility, MilterDebug; standard error, too, which is /dev/null in the
 * background, unless it goes to the journal, where syslog's lines go already. */
void logsetup_apply(const struct settings *s);

/** Log and release the warnings that reading a configuration gave. */
void logsetup_warnings(struct settings_warnings *warnings);

#endif
