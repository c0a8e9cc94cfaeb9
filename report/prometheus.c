/* Metrics: one table says which cell becomes which sample. */
#include "report/prometheus.h"

#include "report/histogram.h"
#include "report/report.h"

#include <string.h>

/* A row with the same metric as the one before adds samples to it. */
struct metric {
	const char *section;
	const char *column;
	const char *name;
	const char *type;
	const char *help;
	const char *label; /* NULL: none */
	const char *value; /* of the label; NULL: what stands in the column "name" */
};

#define MESSAGES(column)                                                                           \
	{                                                                                          \
		"milter", column, "hsmdkim_messages_total", "counter",                             \
			"Messages by what became of them.", "class", column                        \
	}
/* clang-format off */
static const struct metric metrics[] = {
	{ "processes", "restarts", "hsmdkim_process_restarts_total", "counter", "Times that a process was started anew.", "process", NULL },
	{ "processes", "up", "hsmdkim_process_up", "gauge", "1 when the process is in service.", "process", NULL },
	{ "daemon", "reloads", "hsmdkim_reloads_total", "counter", "Configurations that came into force after the first.", NULL, NULL },
	{ "daemon", "failed_reloads", "hsmdkim_failed_reloads_total", "counter", "Reloads that left the old configuration in force.", NULL, NULL },
	{ "milter", "in_flight", "hsmdkim_messages_in_flight", "gauge", "Messages between MAIL FROM and their end.", NULL, NULL },
	{ "milter", "seen", "hsmdkim_messages_seen_total", "counter", "Messages that began.", NULL, NULL },
	MESSAGES("signed"),
	MESSAGES("verified"),
	MESSAGES("passed"),
	MESSAGES("unsigned"),
	MESSAGES("quarantined"),
	MESSAGES("discarded"),
	MESSAGES("rejected"),
	MESSAGES("deferred"),
	{ "tokens", "up", "hsmdkim_token_up", "gauge", "1 when the token takes requests.", "token", NULL },
	{ "tokens", "pin_refused", "hsmdkim_token_pin_refused", "gauge", "1 when the token refused its PIN and waits for an operator.", "token", NULL },
	{ "tokens", "sessions", "hsmdkim_token_sessions", "gauge", "Sessions that are open.", "token", NULL },
	{ "tokens", "queue", "hsmdkim_token_requests", "gauge", "Requests that wait or run.", "token", NULL },
	{ "tokens", "signatures", "hsmdkim_signatures_total", "counter", "Signatures made.", "token", NULL },
	{ "signer", "rate_limited", "hsmdkim_rate_limited_total", "counter", "Signatures refused because their key was over TokenRateLimit.", NULL, NULL },
	{ "failures", "count", "hsmdkim_token_failures_total", "counter", "Requests that the token failed, by cause.", "token", NULL },
};
/* clang-format on */

#define LATENCY "hsmdkim_signature_seconds"
#define LATENCY_HELP "Time from a request's arrival in the signer process to its signature."

/* ---- one sample ---- */

/* Cells hold no line end and no control byte: they went through text_sanitize(). */
static void add_label(const char *name, struct slice value, struct buf *out)
{
	buf_add_fmt(out, "%s=\"", name);
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '"' || value.ptr[i] == '\\')
			buf_add_ch(out, '\\');
		buf_add_ch(out, value.ptr[i]);
	}
	buf_add_ch(out, '"');
}

static size_t find_column(const struct report_section *s, const char *name)
{
	size_t i = 0;

	while (i < s->column_count && !slice_eq(s->columns[i], slice_str(name)))
		i++;
	return i;
}

static void add_labels(const struct metric *m, const struct report_section *s,
		       const struct slice *cells, struct buf *out)
{
	size_t name = find_column(s, "name");
	size_t class = find_column(s, "class");

	if (m->label == NULL)
		return;
	buf_add_ch(out, '{');
	if (m->value != NULL)
		add_label(m->label, slice_str(m->value), out);
	else if (name < s->column_count)
		add_label(m->label, cells[name], out);
	if (class < s->column_count) {
		buf_add_ch(out, ',');
		add_label("class", cells[class], out);
	}
	buf_add_ch(out, '}');
}

static void add_samples(const struct metric *m, struct report_section s, struct buf *out)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	size_t column = find_column(&s, m->column);

	if (column == s.column_count || !s.numeric[column])
		return;
	while (report_next_row(&s, cells)) {
		if (cells[column].len == 0)
			continue; /* not known */
		buf_add_str(out, m->name);
		add_labels(m, &s, cells, out);
		buf_add_ch(out, ' ');
		buf_add(out, cells[column]);
		buf_add_ch(out, '\n');
	}
}

static bool find_section(struct slice text, const char *name, struct report_section *ret_section)
{
	while (report_next_section(&text, ret_section)) {
		if (slice_eq(ret_section->name, slice_str(name)))
			return true;
	}
	return false;
}

static void add_head(const char *name, const char *type, const char *help, struct buf *out)
{
	buf_add_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ---- histograms ---- */

static uint64_t number_of(struct slice cell)
{
	unsigned long long number = 0;

	return slice_u64(cell, &number) ? number : 0;
}

/* Microseconds as seconds, exactly. */
static void add_seconds(uint64_t us, struct buf *out)
{
	buf_add_fmt(out, "%llu.%06llu", (unsigned long long)(us / 1000000),
		    (unsigned long long)(us % 1000000));
}

/* Cells: the token, the sum, then the buckets; Prometheus wants each to hold those before it. */
static void add_histogram(const struct report_section *s, const struct slice *cells,
			  struct buf *out)
{
	uint64_t count = 0;

	for (size_t i = 2; i < s->column_count; i++) {
		bool last = i + 1 == s->column_count;

		count += number_of(cells[i]);
		buf_add_str(out, LATENCY "_bucket{");
		add_label("token", cells[0], out);
		buf_add_str(out, ",le=\"");
		if (last)
			buf_add_str(out, "+Inf");
		else
			add_seconds(number_of(s->columns[i]), out);
		buf_add_fmt(out, "\"} %llu\n", (unsigned long long)count);
	}
	buf_add_str(out, LATENCY "_sum{");
	add_label("token", cells[0], out);
	buf_add_str(out, "} ");
	add_seconds(number_of(cells[1]), out);
	buf_add_str(out, "\n" LATENCY "_count{");
	add_label("token", cells[0], out);
	buf_add_fmt(out, "} %llu\n", (unsigned long long)count);
}

void report_to_prometheus(struct slice text, struct buf *out)
{
	struct slice cells[REPORT_COLUMNS_MAX];
	struct report_section s;
	const char *before = "";

	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		const struct metric *m = &metrics[i];

		if (!find_section(text, m->section, &s))
			continue;
		if (strcmp(m->name, before) != 0)
			add_head(m->name, m->type, m->help, out);
		before = m->name;
		add_samples(m, s, out);
	}
	if (!find_section(text, "latency", &s) || s.column_count != HISTOGRAM_BUCKETS + 2)
		return;
	add_head(LATENCY, "histogram", LATENCY_HELP, out);
	while (report_next_row(&s, cells))
		add_histogram(&s, cells, out);
}
