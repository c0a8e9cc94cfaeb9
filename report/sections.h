/*
 * The sections that processes report, each with its header line: what a section's writer begins it
 * with and its reader expects, so that neither a name nor a column is spelled twice. A column with
 * "#" holds numbers; times are in the unit at the end of the name.
 */
#ifndef REPORT_SECTIONS_H
#define REPORT_SECTIONS_H

#include "report/histogram.h"

/* The supervisor's own. */
#define SECTION_DAEMON                                                                             \
	"=daemon\tversion\t#pid\t#uptime_s\tconfiguration\t#generation\t#reloads\t#failed_reloads" \
	"\tlast_reload"
#define SECTION_PROCESSES "@processes\tname\tstate\t#up\t#pid\t#restarts\t#uptime_s\tanswers"
/* The answer to a reload. */
#define SECTION_WARNINGS "@warnings\ttext"

/* The signer process's. */
#define SECTION_SIGNER                                                                             \
	"=signer\t#keys\t#tokens\t#requests\t#request_bytes\t#file_signatures\t#rate_limited"
#define SECTION_TOKENS                                                                             \
	"@tokens\tname\tstate\t#up\tbreaker\t#retry_in_ms\t#pin_refused\t#sessions\t#sessions_max" \
	"\t#queue\t#signatures\t#failures\t#p50_us\t#p99_us\tlast_error\t#last_error_age_s"
#define SECTION_KEYS                                                                               \
	"@keys\tname\tdomain\tselector\twhere\ttype\t#bits\tattributes\t#signatures\tlast_error"   \
	"\t#last_error_age_s\t~last_error_detail"
#define SECTION_MORE "=more\t#keys_not_shown"
#define SECTION_FAILURES "@failures\tname\tclass\t#count"
/* The buckets' columns are named by their bounds. */
#define SECTION_LATENCY_COLUMN(bound) "\t#" #bound
#define SECTION_LATENCY                                                                            \
	"@latency\ttoken\t#sum_us" HISTOGRAM_BOUNDS(SECTION_LATENCY_COLUMN) "\t#more"

/* The milter process's: the columns behind #seen are enum mailcount_class in its order. */
#define SECTION_MILTER                                                                             \
	"=milter\t#in_flight\t#seen\t#signed\t#verified\t#passed\t#unsigned\t#quarantined"         \
	"\t#discarded\t#rejected\t#deferred"

#endif
