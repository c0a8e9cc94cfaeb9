/* The log as the settings want it. */
#ifndef CONFIG_LOGSETUP_H
#define CONFIG_LOGSETUP_H

#include "base/log.h"
#include "config/settings.h"

/** As logsetup_apply(), with another place than standard error. */
void logsetup_apply_to(const struct settings *s, const struct log_sink *terminal);

/** Syslog, SyslogName, SyslogFacility, MilterDebug; standard error always, it is /dev/null in the
 * background. */
void logsetup_apply(const struct settings *s);

/** Log and release the warnings that reading a configuration gave. */
void logsetup_warnings(struct settings_warnings *warnings);

#endif
