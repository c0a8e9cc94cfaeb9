/*
 * The half of the reports process that hands reports over, one at a time: to MTACommand, or to the
 * SMTP server of SMTPURI. It does not look into what it sends, and bounds it: a composer that was
 * taken over, or ends and comes again, sends no
 * more than an honest one.
 */
#ifndef DAEMON_REPORTSENDER_H
#define DAEMON_REPORTSENDER_H

#include "config/settings.h"
#include "daemon/reportmail.h"

#include <stdint.h>

/** What became of a report: one byte, the answer to each message. */
enum reportsender_outcome { REPORTSENDER_SENT = 1, REPORTSENDER_FAILED, REPORTSENDER_LIMITED };

/** The recipient's line, and the message. */
#define REPORTSENDER_PACKET_BYTES (REPORTMAIL_BYTES + 512u)

/** Reports of all domains together. */
#define REPORTSENDER_COUNT_MAX 100u
#define REPORTSENDER_PERIOD_MS 3600000

struct reportsender;

/**
 * One a process: it counts what it sends, over all composers.
 * @param settings live as long as the sender, which lives as long as the process
 * @return ERR_NOMEM; with SMTPURI ERR_DENIED, ERR_CONFIG, with a detail
 */
NODISCARD enum err reportsender_new(const struct settings *settings,
				    struct reportsender **ret_sender, struct err_detail *detail);

/**
 * Until the composer or the supervisor is gone.
 * @param composer_fd reports come here, one a packet: the recipient's address, LF, the message
 * @return true: the composer is gone
 */
NODISCARD bool reportsender_serve(struct reportsender *sender, int composer_fd, int supervisor_fd);

#endif
