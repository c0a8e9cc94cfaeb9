/* The metrics process: see metricsproc.h. */
#include "daemon/metricsproc.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/recv.h"
#include "config/handover.h"
#include "daemon/control.h"
#include "daemon/sandbox.h"
#include "report/prometheus.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* The supervisor gives up on a child after 3 s; it may be reading a configuration, too. */
#define ANSWER_MS 15000
/* "ok", the report, "." */
#define ANSWER_BYTES_MAX (CONTROL_METRICS_BYTES_MAX + 64)
/* HTTP clients: a few scrapers; each gets no more memory and time than it needs. */
#define CLIENTS_MAX 16u
#define CLIENT_MEMORY_BYTES 16384u
#define CLIENT_TIMEOUT_S 5u

struct proc {
	int listen_fd;
	int ask_fd; /* to the supervisor */
	struct MHD_Daemon *http;
};

/* ---- the supervisor ---- */

/* An answer ends with a line of its own. @return ERR_PEER_LOST, ERR_TIMEOUT: the next answer could
 * be this one's, so the process ends */
static enum err read_answer(int fd, struct buf *answer)
{
	int64_t deadline_ms = clock_mono_ms() + ANSWER_MS;
	bool end = false;
	enum err e = ERR_OK;

	while (e == ERR_OK && !slice_ends(buf_slice(answer), SLICE_LIT("\n.\n")))
		e = end ? ERR_PEER_LOST : recv_some(fd, deadline_ms, answer, &end);
	return e;
}

/* @return false: it cannot say now */
static bool ask(int fd, struct buf *ret_metrics)
{
	static const struct slice question = SLICE_INIT("metrics\n");
	static const struct slice ok = SLICE_INIT("ok\n");
	struct slice text;
	struct buf answer;
	bool good;

	buf_init(&answer, ANSWER_BYTES_MAX);
	if (send(fd, question.ptr, question.len, MSG_NOSIGNAL) != (ssize_t)question.len ||
	    read_answer(fd, &answer) != ERR_OK)
		_exit(EX_TEMPFAIL);
	text = buf_slice(&answer);
	good = slice_starts(text, ok);
	if (good)
		report_to_prometheus(slice_sub(text, ok.len, text.len - 2), ret_metrics);
	buf_done(&answer);
	return good;
}

/* ---- HTTP ---- */

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, struct slice body,
			     const char *type)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body.len, (void *)body.ptr, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (response != NULL &&
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	if (response != NULL)
		MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status,
				  struct slice text)
{
	return reply(connection, status, text, "text/plain; charset=utf-8");
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **request)
{
	const struct proc *p = ctx;
	struct slice text;
	struct buf metrics;
	enum MHD_Result result;

	(void)version;
	(void)data;
	(void)data_len;
	(void)request;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, SLICE_LIT("GET only\n"));
	if (strcmp(url, "/metrics") != 0)
		return reply_text(connection, MHD_HTTP_NOT_FOUND, SLICE_LIT("see /metrics\n"));
	buf_init(&metrics, 2 * ANSWER_BYTES_MAX);
	if (ask(p->ask_fd, &metrics) && buf_finish(&metrics, &text) == ERR_OK)
		result = reply(connection, MHD_HTTP_OK, text, PROMETHEUS_TYPE);
	else
		result = reply_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				    SLICE_LIT("hsmdkim does not answer\n"));
	buf_done(&metrics);
	return result;
}

/* ---- life ---- */

/* The sockets that the supervisor hands over. @return false: it is gone, or speaks nonsense */
static bool take_sockets(struct proc *p)
{
	while (p->listen_fd < 0 || p->ask_fd < 0) {
		struct handover_msg msg = { .fd = -1 };

		if (handover_recv(HANDOVER_FD, ANSWER_MS, &msg) != ERR_OK)
			return false;
		if (msg.type == HANDOVER_LISTEN && p->listen_fd < 0)
			p->listen_fd = msg.fd;
		else if (msg.type == HANDOVER_PEER && p->ask_fd < 0)
			p->ask_fd = msg.fd;
		else
			return false;
	}
	return true;
}

static bool start_http(struct proc *p)
{
	p->http = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, p,
				   MHD_OPTION_LISTEN_SOCKET, p->listen_fd,
				   MHD_OPTION_CONNECTION_LIMIT, CLIENTS_MAX,
				   MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CLIENT_MEMORY_BYTES,
				   MHD_OPTION_CONNECTION_TIMEOUT, CLIENT_TIMEOUT_S, MHD_OPTION_END);
	return p->http != NULL;
}

/* Until the supervisor is gone. */
static int serve(struct proc *p)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(p->http, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[2] = { { .fd = HANDOVER_FD, .events = POLLIN },
				 { .fd = info != NULL ? info->epoll_fd : -1, .events = POLLIN } };

	if (info == NULL)
		return EX_SOFTWARE;
	for (;;) {
		unsigned long long wait_ms = 1000;

		if (MHD_get_timeout(p->http, &wait_ms) != MHD_YES || wait_ms > 1000)
			wait_ms = 1000;
		if (poll(fds, ARRAY_LEN(fds), (int)wait_ms) < 0 && errno != EINTR)
			return EX_OSERR;
		if (fds[0].revents != 0)
			return EX_OK;
		if (MHD_run(p->http) != MHD_YES)
			return EX_SOFTWARE;
	}
}

int metricsproc_main(void)
{
	struct proc p = { .listen_fd = -1, .ask_fd = -1 };
	struct err_detail detail = { "" };
	struct sandbox_state state;

	(void)signal(SIGPIPE, SIG_IGN);
	if (!take_sockets(&p))
		return EX_UNAVAILABLE;
	if (!start_http(&p)) {
		log_line(LOG_LEVEL_ERROR, "metrics process: cannot serve HTTP");
		return EX_OSERR;
	}
	if (sandbox_enter_milter(&state, &detail) != ERR_OK) {
		log_line(LOG_LEVEL_ERROR, "metrics process: cannot enter the sandbox: %s",
			 detail.text);
		return EX_OSERR;
	}
	return serve(&p);
}
