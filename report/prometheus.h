/*
 * A report (report/report.h) as Prometheus text, version 0.0.4 of its exposition format. Labels are
 * token, class and process, never a domain or a key: those grow with the mail.
 */
#ifndef REPORT_PROMETHEUS_H
#define REPORT_PROMETHEUS_H

#include "base/buf.h"
#include "base/slice.h"

/** The type that HTTP says of it. */
#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** The report's sections that have metrics; others are passed over. */
void report_to_prometheus(struct slice text, struct buf *out);

#endif
