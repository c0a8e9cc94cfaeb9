/*
 * The half of the reports process that reads what is foreign: requests of the milter process and
 * reporting records from DNS. It runs in the milter's sandbox.
 */
#ifndef DAEMON_REPORTCOMPOSER_H
#define DAEMON_REPORTCOMPOSER_H

#include "config/files.h"
#include "config/settings.h"

/** Failures of one domain and one kind that are looked at: one in this time. */
#define REPORTCOMPOSER_PERIOD_MS 600000
/** Domains and kinds that are looked at in that time, all together. */
#define REPORTCOMPOSER_COUNT_MAX 1000u

/**
 * Until the sender is gone.
 * @param files     of the generation, for the resolver
 * @param ask_fd    requests come here
 * @param sender_fd reports go there, see daemon/reportsender.h
 * @return exit status
 */
int reportcomposer_run(const struct settings *settings, struct files *files, int ask_fd,
		       int sender_fd);

#endif
