/* The queue of failure reports: see reporter.h. */
#include "daemon/reporter.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct reporter {
	pthread_mutex_t lock; /* all below; the last in the lock order */
	int fd;		      /* -1: none */
	unsigned long dropped;
};

struct reporter *reporter_new(void)
{
	struct reporter *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if (pthread_mutex_init(&r->lock, NULL) != 0) {
		free(r);
		return NULL;
	}
	r->fd = -1;
	return r;
}

void reporter_free(struct reporter **reporter)
{
	struct reporter *r = *reporter;

	if (r == NULL)
		return;
	reporter_attach(r, -1);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
	*reporter = NULL;
}

void reporter_attach(struct reporter *reporter, int fd)
{
	int old;

	(void)pthread_mutex_lock(&reporter->lock);
	old = reporter->fd;
	reporter->fd = fd;
	(void)pthread_mutex_unlock(&reporter->lock);
	if (old >= 0)
		(void)close(old);
}

void reporter_send(struct reporter *reporter, struct slice packet)
{
	unsigned long dropped;
	bool sent;

	(void)pthread_mutex_lock(&reporter->lock);
	sent = send(reporter->fd, packet.ptr, packet.len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)packet.len;
	dropped = reporter->dropped;
	reporter->dropped = sent ? 0 : dropped + 1;
	(void)pthread_mutex_unlock(&reporter->lock);
	if (!sent && dropped == 0)
		log_line(LOG_LEVEL_WARNING,
			 "failure reports: the queue is full, some will not be sent");
	if (sent && dropped != 0)
		log_line(LOG_LEVEL_INFO, "failure reports: %lu were dropped", dropped);
}
