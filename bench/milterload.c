/*
 * Load for a milter: N connections send the same message again and again; prints messages a second,
 * latency, and the CPU time and memory of the filter's processes.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "bench/dialogue.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PIDS_MAX = 16, CONNECTIONS_MAX = 4096 };

struct options {
	const char *socket;
	const char *from;
	const char *save; /**< write the last message as it would leave the MTA */
	const char *kind; /**< of the body: text, base64, html, blanks */
	size_t size;	  /**< body bytes */
	unsigned connections;
	unsigned messages;   /**< of each connection */
	unsigned signatures; /**< fields that each message must gain */
	int pids[PIDS_MAX];
	size_t pid_count;
};

struct worker {
	const struct options *options;
	const struct dialogue_message *message;
	pthread_t thread;
	double *latency_ms;
	unsigned done;
	unsigned wrong;
	struct buf headers;
	struct err_detail detail;
};

static double now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* ---- the message ---- */

static void body_line(const char *kind, unsigned n, struct buf *out)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (strcmp(kind, "base64") == 0) {
		for (unsigned i = 0; i < 76; i++)
			buf_add_ch(out, alphabet[(n * 31 + i * 7 + i * i) % 64]);
	} else if (strcmp(kind, "html") == 0) {
		buf_add_fmt(out,
			    "    <td class=\"c%u\"> <a href=\"https://example.com/%u\">item  "
			    "%u</a> </td> ",
			    n % 7, n, n);
	} else if (strcmp(kind, "blanks") == 0) {
		for (unsigned i = 0; i < 38; i++)
			buf_add_str(out, i % 2 == 0 ? "a " : "b\t");
	} else {
		buf_add_fmt(
			out,
			"Line %u of a letter that says nothing, as most letters do at this hour.",
			n);
	}
	buf_add_str(out, "\r\n");
}

static enum err make_body(const struct options *o, struct buf *body)
{
	for (unsigned n = 0; body->len < o->size && body->error == ERR_OK; n++)
		body_line(o->kind, n, body);
	return body->error;
}

/* ---- the load ---- */

static void *run(void *arg)
{
	struct worker *w = arg;
	struct dialogue *d = NULL;

	if (dialogue_open(w->options->socket, &d, &w->detail) != ERR_OK)
		return NULL;
	for (unsigned i = 0; i < w->options->messages; i++) {
		struct dialogue_result result = { .headers = &w->headers };
		double start = now_ms();

		buf_reset(&w->headers);
		if (dialogue_send(d, w->message, &result, &w->detail) != ERR_OK)
			break;
		w->latency_ms[w->done++] = now_ms() - start;
		if (result.inserted != w->options->signatures)
			w->wrong++;
	}
	dialogue_close(&d);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* ---- the filter's processes ---- */

struct usage {
	double cpu_s;
	double rss_mib;
};

static struct usage usage_of(const struct options *o)
{
	struct usage sum = { 0 };

	for (size_t i = 0; i < o->pid_count; i++) {
		unsigned long utime = 0;
		unsigned long stime = 0;
		long rss = 0;
		char path[64];
		char line[1024] = "";
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", o->pids[i]);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		/* NOLINTBEGIN(cert-err34-c): the kernel writes numbers that fit */
		if (fgets(line, sizeof(line), f) != NULL && strrchr(line, ')') != NULL &&
		    sscanf(strrchr(line, ')') + 2,
			   "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
			   "%*d "
			   "%*d %*u %*u %ld",
			   &utime, &stime, &rss) == 3) {
			sum.cpu_s += (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
			sum.rss_mib += (double)rss * (double)sysconf(_SC_PAGESIZE) / 1048576.0;
		}
		/* NOLINTEND(cert-err34-c) */
		(void)fclose(f);
	}
	return sum;
}

/* ---- result ---- */

static int report(const struct options *o, struct worker *workers, double seconds,
		  struct usage before, struct usage after)
{
	size_t total = 0;
	unsigned wrong = 0;
	double *all = malloc(sizeof(*all) * ((size_t)o->connections * o->messages + 1));

	if (all == NULL)
		return EXIT_FAILURE;
	for (unsigned i = 0; i < o->connections; i++) {
		memcpy(all + total, workers[i].latency_ms, workers[i].done * sizeof(*all));
		total += workers[i].done;
		wrong += workers[i].wrong;
		if (workers[i].done < o->messages)
			(void)fprintf(stderr, "connection %u stopped: %s\n", i,
				      workers[i].detail.text);
	}
	qsort(all, total, sizeof(*all), by_value);
	if (total > 0)
		(void)printf("{\"messages\": %zu, \"per_second\": %.1f, \"p50_ms\": %.2f, "
			     "\"p99_ms\": %.2f, "
			     "\"cpu_us_message\": %.0f, \"rss_mib\": %.1f, \"wrong\": %u}\n",
			     total, (double)total / seconds, all[total / 2], all[total * 99 / 100],
			     (after.cpu_s - before.cpu_s) * 1e6 / (double)total, after.rss_mib,
			     wrong);
	free(all);
	return wrong == 0 && total == (size_t)o->connections * o->messages ? EXIT_SUCCESS
									   : EXIT_FAILURE;
}

static void put_field(FILE *f, const struct dialogue_header *h)
{
	(void)fprintf(f, "%s: ", h->name);
	for (const char *p = h->value; *p != '\0'; p++) {
		if (*p == '\n')
			(void)fputc('\r', f);
		(void)fputc(*p, f);
	}
	(void)fputs("\r\n", f);
}

/* The message as the MTA would pass it on: for an independent verifier. */
static int save(const struct options *o, const struct dialogue_message *m, const struct worker *w)
{
	FILE *f = fopen(o->save, "w");

	if (f == NULL) {
		perror(o->save);
		return EXIT_FAILURE;
	}
	(void)fwrite(buf_slice(&w->headers).ptr, 1, buf_slice(&w->headers).len, f);
	for (size_t i = 0; i < m->header_count; i++)
		put_field(f, &m->headers[i]);
	(void)fputs("\r\n", f);
	(void)fwrite(m->body.ptr, 1, m->body.len, f);
	return fclose(f) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int load(const struct options *o, const struct dialogue_message *m)
{
	struct worker *workers = calloc(o->connections, sizeof(*workers));
	struct usage before = usage_of(o);
	struct usage after;
	double start = now_ms();
	int rc;

	if (workers == NULL)
		return EXIT_FAILURE;
	for (unsigned i = 0; i < o->connections; i++) {
		workers[i].options = o;
		workers[i].message = m;
		workers[i].latency_ms = calloc(o->messages, sizeof(double));
		buf_init(&workers[i].headers, 1 << 20);
		if (workers[i].latency_ms == NULL ||
		    pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < o->connections; i++)
		(void)pthread_join(workers[i].thread, NULL);
	after = usage_of(o);
	rc = report(o, workers, (now_ms() - start) / 1e3, before, after);
	if (rc == EXIT_SUCCESS && o->save != NULL)
		rc = save(o, m, &workers[0]);
	for (unsigned i = 0; i < o->connections; i++) {
		free(workers[i].latency_ms);
		buf_done(&workers[i].headers);
	}
	free(workers);
	return rc;
}

static void usage(void)
{
	(void)fputs("usage: milterload --socket inet:PORT@HOST|unix:PATH [--from ADDRESS] "
		    "[--connections N]\n"
		    "         [--messages N] [--size BYTES] [--kind text|base64|html|blanks] "
		    "[--signatures N]\n"
		    "         [--pid N]... [--save FILE]\n",
		    stderr);
}

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "from", required_argument, NULL, 'f' },
	{ "connections", required_argument, NULL, 'c' },
	{ "messages", required_argument, NULL, 'm' },
	{ "size", required_argument, NULL, 'b' },
	{ "kind", required_argument, NULL, 'k' },
	{ "signatures", required_argument, NULL, 'n' },
	{ "pid", required_argument, NULL, 'p' },
	{ "save", required_argument, NULL, 'o' },
	{ NULL, 0, NULL, 0 },
};

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

static bool parse(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 's':
			o->socket = optarg;
			break;
		case 'f':
			o->from = optarg;
			break;
		case 'c':
			o->connections = number(optarg);
			break;
		case 'm':
			o->messages = number(optarg);
			break;
		case 'b':
			o->size = number(optarg);
			break;
		case 'k':
			o->kind = optarg;
			break;
		case 'n':
			o->signatures = number(optarg);
			break;
		case 'o':
			o->save = optarg;
			break;
		case 'p':
			if (o->pid_count < PIDS_MAX)
				o->pids[o->pid_count++] = (int)number(optarg);
			break;
		default:
			return false;
		}
	}
	return o->socket != NULL && o->connections > 0 && o->connections <= CONNECTIONS_MAX &&
	       o->messages > 0;
}

int main(int argc, char **argv)
{
	struct options o = { .from = "joe@example.com",
			     .kind = "text",
			     .size = 5000,
			     .connections = 8,
			     .messages = 200,
			     .signatures = 1 };
	struct buf body;
	int rc = 64;

	if (!parse(argc, argv, &o)) {
		usage();
		return rc;
	}
	buf_init(&body, (size_t)1 << 31);
	if (make_body(&o, &body) == ERR_OK) {
		const struct dialogue_header headers[] = {
			{ "Received", "from client (client [192.0.2.1])\n\tby mx.example.net "
				      "(MTA) with ESMTPSA id ABC123\n\tfor <suzie@example.org>; "
				      "Tue, 24 Nov 2026 10:00:00 +0000" },
			{ "From", o.from },
			{ "To", "Suzie Q <suzie@example.org>" },
			{ "Cc", "Team <team@example.org>" },
			{ "Subject", "Is dinner ready?" },
			{ "Date", "Tue, 24 Nov 2026 10:00:00 +0000" },
			{ "Message-ID", "<20261124100000.1@example.com>" },
			{ "MIME-Version", "1.0" },
			{ "Content-Type", "text/plain; charset=utf-8" },
			{ "Content-Transfer-Encoding", "7bit" },
			{ "User-Agent", "bench" },
			{ "In-Reply-To", "<20261123100000.1@example.org>" },
			{ "References", "<20261123100000.1@example.org>" },
			{ "List-Id", "dinner <dinner.example.com>" },
			{ "List-Unsubscribe", "<https://example.com/u/1>" },
			{ "X-Mailer", "bench 1" },
		};
		const struct dialogue_message message = {
			.queue_id = "4XyZ1234",
			.mail_from = "<joe@example.com>",
			.rcpt_to = "<suzie@example.org>",
			.headers = headers,
			.header_count = ARRAY_LEN(headers),
			.body = buf_slice(&body),
		};

		rc = load(&o, &message);
	}
	buf_done(&body);
	return rc;
}
