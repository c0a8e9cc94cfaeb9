/*
 * Load for a milter: N connections send the same message again and again; prints messages a second,
 * latency, and the CPU time and memory of the filter's processes. With --hold all connections stop
 * in the middle of a message, "held" is printed, and the end of standard input lets them go on.
 */
#define _GNU_SOURCE /* memmem */
#include "base/buf.h"
#include "base/clock.h"
#include "bench/dialogue.h"
#include "bench/message.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PIDS_MAX = 16, CONNECTIONS_MAX = 4096 };

struct options {
	const char *socket;
	const char *client; /**< address that the mail comes from */
	const char *file;   /**< a whole message; NULL: one is made of the next three */
	const char *from;
	const char *expect; /**< what the added fields must contain, all together */
	const char *save;   /**< write the last message as it would leave the MTA */
	const char *kind;   /**< of the body: text, base64, html, blanks */
	size_t size;	    /**< body bytes */
	unsigned connections;
	unsigned messages;   /**< of each connection, on average */
	unsigned signatures; /**< fields that each message must gain */
	unsigned repeat;     /**< times that the body is sent */
	bool hold;
	int pids[PIDS_MAX];
	size_t pid_count;
};

/* The messages of all connections. Each takes the next one, for Debian's libmilter has a pool of
 * threads, in which a connection may wait for seconds until another one ends: with a number for
 * each connection the last second would measure a few that were late. */
struct queue {
	size_t total;
	atomic_size_t taken;
	double *latency_ms; /* of each; 0: it was not answered */
};

struct worker {
	const struct options *options;
	struct queue *queue;
	const struct dialogue_message *message;
	pthread_t thread;
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

/* ---- the load ---- */

static bool right(const struct options *o, const struct dialogue_result *result)
{
	struct slice added = buf_slice(result->headers);

	return result->inserted == o->signatures &&
	       memmem(added.ptr, added.len, o->expect, strlen(o->expect)) != NULL;
}

static void *run(void *arg)
{
	struct worker *w = arg;
	struct dialogue *d = NULL;

	if (dialogue_open(w->options->socket, w->options->client, &d, &w->detail) != ERR_OK)
		return NULL;
	for (;;) {
		size_t i = atomic_fetch_add(&w->queue->taken, 1);
		struct dialogue_result result = { .headers = &w->headers };
		double start = now_ms();

		if (i >= w->queue->total)
			break;
		buf_reset(&w->headers);
		if (dialogue_send(d, w->message, &result, &w->detail) != ERR_OK)
			break;
		w->queue->latency_ms[i] = now_ms() - start;
		if (!right(w->options, &result))
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
		struct timespec cpu = { 0 };
		clockid_t clock;
		unsigned long pages = 0;
		char path[64];
		FILE *f;

		/* The clock counts in ns; /proc/PID/stat counts 10 ms of which a message takes
		 * less. */
		if (clock_getcpuclockid(o->pids[i], &clock) == 0 && clock_gettime(clock, &cpu) == 0)
			sum.cpu_s += (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
		(void)snprintf(path, sizeof(path), "/proc/%d/statm", o->pids[i]);
		f = fopen(path, "r");
		if (f == NULL)
			continue;
		/* NOLINTNEXTLINE(cert-err34-c): the kernel writes numbers that fit */
		if (fscanf(f, "%*u %lu", &pages) == 1)
			sum.rss_mib += (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576.0;
		(void)fclose(f);
	}
	return sum;
}

/* ---- result ---- */

static int report(const struct options *o, const struct worker *workers, struct queue *q,
		  double seconds, struct usage before, struct usage after)
{
	const double *answered = q->latency_ms;
	size_t count = q->total;
	unsigned wrong = 0;

	for (unsigned i = 0; i < o->connections; i++) {
		wrong += workers[i].wrong;
		if (workers[i].detail.text[0] != '\0')
			(void)fprintf(stderr, "connection %u stopped: %s\n", i,
				      workers[i].detail.text);
	}
	qsort(q->latency_ms, q->total, sizeof(double), by_value);
	for (; count > 0 && *answered == 0; answered++)
		count--;
	if (count > 0)
		(void)printf("{\"messages\": %zu, \"per_second\": %.1f, \"p50_ms\": %.2f, "
			     "\"p99_ms\": %.2f, "
			     "\"cpu_us_message\": %.0f, \"rss_mib\": %.1f, \"wrong\": %u}\n",
			     count, (double)count / seconds, answered[count / 2],
			     answered[count * 99 / 100],
			     (after.cpu_s - before.cpu_s) * 1e6 / (double)count, after.rss_mib,
			     wrong);
	return wrong == 0 && count == q->total ? EXIT_SUCCESS : EXIT_FAILURE;
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

/* A message as the MTA would pass it on: for an independent verifier. */
static int save(const struct options *o, const struct dialogue_message *m, const struct worker *w)
{
	FILE *f = fopen(o->save, "w");

	while (buf_slice(&w->headers).len == 0) /* it had no message; another one had */
		w++;

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
	struct queue queue = { .total = (size_t)o->connections * o->messages };
	struct worker *workers = calloc(o->connections, sizeof(*workers));
	struct usage before = usage_of(o);
	struct usage after;
	double start = now_ms();
	int rc;

	queue.latency_ms = calloc(queue.total, sizeof(double));
	if (workers == NULL || queue.latency_ms == NULL)
		abort();
	for (unsigned i = 0; i < o->connections; i++) {
		workers[i].options = o;
		workers[i].message = m;
		workers[i].queue = &queue;
		buf_init(&workers[i].headers, 1 << 20);
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < o->connections; i++)
		(void)pthread_join(workers[i].thread, NULL);
	after = usage_of(o);
	rc = report(o, workers, &queue, (now_ms() - start) / 1e3, before, after);
	if (rc == EXIT_SUCCESS && o->save != NULL)
		rc = save(o, m, workers);
	for (unsigned i = 0; i < o->connections; i++)
		buf_done(&workers[i].headers);
	free(queue.latency_ms);
	free(workers);
	return rc;
}

/* ---- many connections in the middle of a message ---- */

static void wait_for_end_of_input(void)
{
	(void)puts("held");
	(void)fflush(stdout);
	while (getchar() != EOF)
		;
}

static enum err begin_all(const struct options *o, const struct dialogue_message *m,
			  struct dialogue **all, struct err_detail *detail)
{
	struct dialogue_result result = { 0 };
	enum err e = ERR_OK;

	for (unsigned i = 0; i < o->connections && e == ERR_OK; i++) {
		e = dialogue_open(o->socket, o->client, &all[i], detail);
		if (e == ERR_OK)
			e = dialogue_begin(all[i], m, &result, detail);
	}
	return e;
}

static unsigned end_all(const struct options *o, struct dialogue **all, struct err_detail *detail)
{
	struct buf headers;
	unsigned good = 0;

	buf_init(&headers, 1 << 20);
	for (unsigned i = 0; i < o->connections; i++) {
		struct dialogue_result result = { .headers = &headers };

		buf_reset(&headers);
		if (dialogue_end(all[i], &result, detail) == ERR_OK && right(o, &result))
			good++;
	}
	buf_done(&headers);
	return good;
}

static int hold(const struct options *o, const struct dialogue_message *m)
{
	struct dialogue **all = calloc(o->connections, sizeof(struct dialogue *));
	struct err_detail detail = { 0 };
	unsigned good = 0;

	if (all == NULL)
		return EXIT_FAILURE;
	if (begin_all(o, m, all, &detail) == ERR_OK) {
		wait_for_end_of_input();
		good = end_all(o, all, &detail);
	}
	for (unsigned i = 0; i < o->connections; i++)
		dialogue_close(&all[i]);
	free(all);
	(void)printf("{\"messages\": %u, \"wrong\": %u}\n", o->connections, o->connections - good);
	if (good < o->connections)
		(void)fprintf(stderr, "%s\n", detail.text);
	return good == o->connections ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- command line ---- */

static void usage(void)
{
	(void)fputs("usage: milterload --socket inet:PORT@HOST|unix:PATH [--client ADDRESS] "
		    "[--connections N]\n"
		    "         [--messages N] [--file MESSAGE | --from ADDRESS --size BYTES "
		    "--kind text|base64|html|blanks]\n"
		    "         [--repeat N] [--signatures N] [--expect TEXT] [--pid N]... "
		    "[--save FILE] [--hold]\n",
		    stderr);
}

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "client", required_argument, NULL, 'a' },
	{ "expect", required_argument, NULL, 'e' },
	{ "file", required_argument, NULL, 'i' },
	{ "from", required_argument, NULL, 'f' },
	{ "hold", no_argument, NULL, 'h' },
	{ "repeat", required_argument, NULL, 'r' },
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

static bool set(struct options *o, int option, const char *value)
{
	switch (option) {
	case 'a':
		o->client = value;
		return true;
	case 's':
		o->socket = value;
		return true;
	case 'e':
		o->expect = value;
		return true;
	case 'i':
		o->file = value;
		return true;
	case 'f':
		o->from = value;
		return true;
	case 'h':
		o->hold = true;
		return true;
	case 'r':
		o->repeat = number(value);
		return true;
	case 'c':
		o->connections = number(value);
		return true;
	case 'm':
		o->messages = number(value);
		return true;
	case 'b':
		o->size = number(value);
		return true;
	case 'k':
		o->kind = value;
		return true;
	case 'n':
		o->signatures = number(value);
		return true;
	case 'o':
		o->save = value;
		return true;
	case 'p':
		if (o->pid_count < PIDS_MAX)
			o->pids[o->pid_count++] = (int)number(value);
		return true;
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!set(o, c, optarg))
			return false;
	return o->socket != NULL && o->connections > 0 && o->connections <= CONNECTIONS_MAX &&
	       o->messages > 0;
}

/* A connection takes a descriptor here and one in the filter, which inherits nothing from us. */
static void allow_many_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
	struct options o = { .client = "127.0.0.1",
			     .from = "joe@example.com",
			     .kind = "text",
			     .expect = "",
			     .size = 5000,
			     .connections = 8,
			     .messages = 200,
			     .repeat = 1,
			     .signatures = 1 };
	struct message m;
	enum err e;
	int rc = EXIT_FAILURE;

	if (!parse(argc, argv, &o)) {
		usage();
		return 64;
	}
	allow_many_files();
	e = o.file != NULL ? message_read(&m, o.file) : message_make(&m, o.kind, o.size, o.from);
	if (e == ERR_OK) {
		const struct dialogue_message message = {
			.queue_id = "4XyZ1234",
			.mail_from = "<joe@example.com>",
			.rcpt_to = "<suzie@example.org>",
			.headers = m.headers,
			.header_count = m.header_count,
			.body = buf_slice(&m.body),
			.body_repeat = o.repeat,
		};

		rc = o.hold ? hold(&o, &message) : load(&o, &message);
	} else {
		(void)fprintf(stderr, "no message: %s\n", err_text(e));
	}
	message_done(&m);
	return rc;
}
