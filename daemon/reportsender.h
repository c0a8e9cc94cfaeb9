/*
 * The half of the reports process that starts MTACommand, one at a time. It does not look into what
 * it sends, and bounds it: a composer that was taken over sends no more than an honest one.
 */
#ifndef DAEMON_REPORTSENDER_H
#define DAEMON_REPORTSENDER_H

#include <stdint.h>

/** What became of a report: one byte, the answer to each message. */
enum reportsender_outcome { REPORTSENDER_SENT = 1, REPORTSENDER_FAILED, REPORTSENDER_LIMITED };

/** Reports of all domains together. */
#define REPORTSENDER_COUNT_MAX 100u
#define REPORTSENDER_PERIOD_MS 3600000

/**
 * Until the composer or the supervisor is gone.
 * @param command MTACommand, a path
 * @param composer_fd messages come here, one a packet
 * @return exit status
 */
int reportsender_run(const char *command, int composer_fd, int supervisor_fd);

#endif
