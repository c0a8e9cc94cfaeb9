/*
 * The metrics process (hsmdkim-metrics): serves Prometheus text at MetricsListen. It speaks HTTP
 * with whoever reaches the socket, so it holds nothing: no mail, no key, no file; it asks the
 * supervisor as a client of the control socket that may ask for metrics only. One thread, in the
 * sandbox of the milter process.
 */
#ifndef DAEMON_METRICSPROC_H
#define DAEMON_METRICSPROC_H

/** Run as the process that the supervisor started. @return exit status */
int metricsproc_main(void);

#endif
