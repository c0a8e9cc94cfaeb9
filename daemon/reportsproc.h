/*
 * The reports process (hsmdkim-reports), in two halves: who reads what is foreign starts no
 * program, and who starts one reads nothing.
 *
 *   composer  in the sandbox of the milter process: takes requests (daemon/reportwire.h), asks DNS
 *             for the reporting record, writes the report (daemon/reportcomposer.h)
 *   sender    starts MTACommand with the report as its input (daemon/reportsender.h), and the
 * composer again when it ends: the count of what was sent outlives it
 */
#ifndef DAEMON_REPORTSPROC_H
#define DAEMON_REPORTSPROC_H

/** Run as the process that the supervisor started. @return exit status */
int reportsproc_main(void);

#endif
