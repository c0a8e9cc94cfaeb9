/* The milter's side of the border to the signer process: see client.h. */
#include "signer/client.h"

#include "base/clock.h"
#include "signer/keycache.h"
#include "signer/sigkey.h"
#include "signer/wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A request. It belongs to the caller; while it is pending the client's table points to it, too.
 * All fields that change are guarded by the client's lock. */
struct sigjob {
	struct sigclient *client;
	pthread_cond_t answered;
	struct wire_msg request; /* slices into store */
	char *store;
	int64_t deadline_ms;
	bool pending; /* in the table */
	bool unsent;
	bool done;
	enum err error;
	struct err_detail detail;
	struct sigkey *key;	   /* OPEN: the answer */
	struct sigkey_names names; /* of a key that could not be opened */
	unsigned char *signature;  /* SIGN: the answer */
	size_t signature_len;
};

struct sigclient {
	atomic_uint
		refs; /* the owner's and one of each job: a job outlives the end of the client */
	pthread_t reader;
	int wake_fd; /* eventfd: the reader looks at fd and stop anew */
	/* Sessions send while they hold this lock for reading, many at a time. Under the other lock
	 * they waited for each other's system calls: 12 futex calls a message with 8 sessions,
	 * now 5. */
	pthread_rwlock_t fd_lock;
	int fd;		      /* -1: no signer; only the reader changes it, holding both locks */
	pthread_mutex_t lock; /* guards all below */
	int next_fd;	      /* what attach() brought, -1: none */
	bool stop;
	uint64_t sequence;
	size_t unsent;
	size_t max_pending;
	size_t free_count;
	uint32_t *free_places;
	struct sigjob **places; /* id % max_pending is the place */
	struct keycache *cache;
};

/* A signer is there, or its socket waits for the reader; the lock is held. */
static bool has_signer(const struct sigclient *c)
{
	return c->fd >= 0 || c->next_fd >= 0;
}

/* ---- the table of pending requests; the lock is held ---- */

static void set_unsent(struct sigclient *c, struct sigjob *job, bool unsent)
{
	if (job->unsent == unsent)
		return;
	job->unsent = unsent;
	if (unsent)
		c->unsent++;
	else
		c->unsent--;
}

static bool enter(struct sigclient *c, struct sigjob *job)
{
	uint32_t place;

	if (c->free_count == 0)
		return false;
	place = c->free_places[--c->free_count];
	job->request.id = ++c->sequence * c->max_pending + place;
	c->places[place] = job;
	job->pending = true;
	return true;
}

static void leave(struct sigclient *c, struct sigjob *job)
{
	size_t place = (size_t)(job->request.id % c->max_pending);

	if (!job->pending)
		return;
	c->places[place] = NULL;
	c->free_places[c->free_count++] = (uint32_t)place;
	job->pending = false;
	set_unsent(c, job, false);
}

static void complete(struct sigclient *c, struct sigjob *job, enum err error)
{
	leave(c, job);
	job->error = error;
	job->done = true;
	(void)pthread_cond_signal(&job->answered);
}

/* ---- sending ---- */

static void wake(struct sigclient *c)
{
	const uint64_t one = 1;

	(void)!write(c->wake_fd, &one, sizeof(one));
}

/* What is sent does not change while the job lives: no lock is needed but fd_lock, to read it.
 * @return ERR_BUSY: the socket is full, or its peer is gone */
static enum err transmit(int fd, const struct sigjob *job)
{
	int64_t left = job->deadline_ms - clock_mono_ms();
	struct wire_msg request = job->request;
	AUTO(buf_done) struct buf packet;
	enum err e;

	request.left_ms = left > 0 ? (uint32_t)(left < INT32_MAX ? left : INT32_MAX) : 0;
	buf_init(&packet, WIRE_PACKET_BYTES);
	e = wire_encode(&request, &packet);
	if (e != ERR_OK)
		return e;
	if (send(fd, packet.data, packet.len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return ERR_OK;
	return errno == EMSGSIZE ? ERR_LIMIT /* the kernel's net.core.wmem_max was made small */
				 : ERR_BUSY;
}

/* The reader, for what could not be sent at once; the lock is held. */
static void send_unsent(struct sigclient *c)
{
	for (size_t i = 0; i < c->max_pending && c->unsent > 0 && c->fd >= 0; i++) {
		struct sigjob *job = c->places[i];
		enum err e;

		if (job == NULL || !job->unsent)
			continue;
		e = transmit(c->fd, job);
		if (e == ERR_BUSY)
			return;
		if (e != ERR_OK)
			complete(c, job, e);
		else
			set_unsent(c, job, false);
	}
}

/* ---- receiving: the reader thread ---- */

static void take_answer(struct sigclient *c, const struct wire_msg *answer)
{
	struct sigjob *job = c->places[answer->id % c->max_pending];
	enum err e = ERR_PROTOCOL;

	if (job == NULL || job->request.id != answer->id)
		return; /* late: nobody waits any more */
	if (answer->type == WIRE_FAILED) {
		e = answer->error;
		err_detail_set(&job->detail, "%.*s", SLICE_FMT(answer->text));
		(void)snprintf(job->names.domain, sizeof(job->names.domain), "%.*s",
			       SLICE_FMT(answer->domain));
		(void)snprintf(job->names.selector, sizeof(job->names.selector), "%.*s",
			       SLICE_FMT(answer->selector));
	} else if (answer->type == WIRE_OPENED && job->request.type == WIRE_OPEN) {
		job->key = sigkey_new(job->request.key_name, answer);
		e = job->key != NULL ? ERR_OK : ERR_NOMEM;
		if (e == ERR_OK)
			keycache_put(c->cache, job->request.generation, job->request.key_name,
				     job->request.from_domain, job->key);
	} else if (answer->type == WIRE_SIGNED && job->request.type == WIRE_SIGN) {
		job->signature = (unsigned char *)slice_dup(answer->bytes);
		job->signature_len = answer->bytes.len;
		e = job->signature != NULL ? ERR_OK : ERR_NOMEM;
	}
	if (e == ERR_KEY_CHANGED || e == ERR_KEY_MISSING || e == ERR_KEY_UNKNOWN)
		keycache_drop(c->cache, job->request.generation, job->request.key_name,
			      job->request.from_domain);
	complete(c, job, e);
}

/* Only the reader closes fd: so it reads without a lock. @return false when the peer is gone */
static bool receive(struct sigclient *c, int fd, char *packet, size_t size)
{
	ssize_t n = recv(fd, packet, size, MSG_DONTWAIT | MSG_TRUNC);
	struct wire_msg answer;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	if ((size_t)n > size || wire_decode(slice_of(packet, (size_t)n), &answer) != ERR_OK)
		return true;
	(void)pthread_mutex_lock(&c->lock);
	take_answer(c, &answer);
	(void)pthread_mutex_unlock(&c->lock);
	return true;
}

/* The reader; the lock is held. */
static void change_fd(struct sigclient *c, int fd)
{
	(void)pthread_rwlock_wrlock(&c->fd_lock);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = fd;
	(void)pthread_rwlock_unlock(&c->fd_lock);
}

/* A new signer knows nothing of what the old one was asked. */
static void take_next_fd(struct sigclient *c)
{
	if (c->next_fd < 0)
		return;
	change_fd(c, c->next_fd);
	c->next_fd = -1;
	keycache_clear(c->cache);
	for (size_t i = 0; i < c->max_pending; i++) {
		if (c->places[i] != NULL)
			set_unsent(c, c->places[i], true);
	}
}

static void *reader_main(void *arg)
{
	struct sigclient *c = arg;
	char packet[LIMIT_SIGNATURE_BYTES + LIMIT_PUBKEY_DER_BYTES + 4096];
	uint64_t wakes;

	(void)pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct pollfd fds[2] = { { .fd = c->wake_fd, .events = POLLIN },
					 { .fd = c->fd, .events = POLLIN } };
		bool lost;

		if (c->unsent > 0)
			fds[1].events |= POLLOUT;
		(void)pthread_mutex_unlock(&c->lock);
		(void)poll(fds, 2, -1);
		if (fds[0].revents != 0)
			(void)!read(c->wake_fd, &wakes, sizeof(wakes));
		lost = (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
		       !receive(c, fds[1].fd, packet, sizeof(packet));
		(void)pthread_mutex_lock(&c->lock);
		if (lost)
			change_fd(c, -1);
		take_next_fd(c);
		send_unsent(c);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- client ---- */

static bool client_memory(struct sigclient *c)
{
	c->free_places = calloc(c->max_pending, sizeof(*c->free_places));
	c->places = calloc(c->max_pending, sizeof(struct sigjob *));
	c->cache = keycache_new();
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return c->free_places != NULL && c->places != NULL && c->cache != NULL && c->wake_fd >= 0;
}

static void client_memory_free(struct sigclient *c)
{
	if (c->wake_fd >= 0)
		(void)close(c->wake_fd);
	keycache_free(&c->cache);
	free(c->places);
	free(c->free_places);
	free(c);
}

static void client_unref(struct sigclient *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	(void)pthread_rwlock_destroy(&c->fd_lock);
	(void)pthread_mutex_destroy(&c->lock);
	client_memory_free(c);
}

enum err sigclient_new(size_t max_pending, struct sigclient **ret_client)
{
	struct sigclient *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	c->fd = c->next_fd = c->wake_fd = -1;
	atomic_init(&c->refs, 1);
	c->max_pending = c->free_count = max_pending;
	if (!client_memory(c)) {
		client_memory_free(c);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < max_pending; i++)
		c->free_places[i] = (uint32_t)(max_pending - 1 - i);
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_rwlock_init(&c->fd_lock, NULL);
	if (pthread_create(&c->reader, NULL, reader_main, c) != 0) {
		client_memory_free(c);
		return ERR_NOMEM;
	}
	*ret_client = c;
	return ERR_OK;
}

void sigclient_free(struct sigclient **client)
{
	struct sigclient *c;

	if (client == NULL || *client == NULL)
		return;
	c = *client;
	*client = NULL;
	(void)pthread_mutex_lock(&c->lock);
	c->stop = true;
	for (size_t i = 0; i < c->max_pending; i++)
		if (c->places[i] != NULL)
			complete(c, c->places[i], ERR_PEER_LOST);
	wake(c);
	(void)pthread_mutex_unlock(&c->lock);
	(void)pthread_join(c->reader, NULL);
	if (c->fd >= 0)
		(void)close(c->fd);
	if (c->next_fd >= 0)
		(void)close(c->next_fd);
	client_unref(c);
}

void sigclient_attach(struct sigclient *client, int fd)
{
	const int packet_bytes = WIRE_PACKET_BYTES;

	/* A packet is sent whole or not at all, and the usual buffer is smaller than the longest.
	 */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &packet_bytes, sizeof(packet_bytes));
	(void)pthread_mutex_lock(&client->lock);
	if (client->next_fd >= 0)
		(void)close(client->next_fd);
	client->next_fd = fd;
	wake(client);
	(void)pthread_mutex_unlock(&client->lock);
}

bool sigclient_attached(struct sigclient *client)
{
	bool attached;

	(void)pthread_mutex_lock(&client->lock);
	attached = has_signer(client);
	(void)pthread_mutex_unlock(&client->lock);
	return attached;
}

/* ---- requests ---- */

static struct slice put(char **at, struct slice s)
{
	struct slice copy = slice_of(*at, s.len);

	if (s.len != 0)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return copy;
}

/* A job with its own copy of everything that the request points to. */
static struct sigjob *job_new(struct sigclient *c, const struct wire_msg *request,
			      int64_t deadline_ms)
{
	struct sigjob *job = calloc(1, sizeof(*job));
	pthread_condattr_t attr;
	char *at;

	if (job == NULL)
		return NULL;
	job->store = malloc(request->key_name.len + request->from_domain.len +
			    request->fingerprint.len + request->bytes.len + 1);
	if (job->store == NULL) {
		free(job);
		return NULL;
	}
	at = job->store;
	(void)atomic_fetch_add(&c->refs, 1);
	job->client = c;
	job->deadline_ms = deadline_ms;
	job->request = *request;
	job->request.key_name = put(&at, request->key_name);
	job->request.from_domain = put(&at, request->from_domain);
	job->request.fingerprint = put(&at, request->fingerprint);
	job->request.bytes = put(&at, request->bytes);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&job->answered, &attr);
	(void)pthread_condattr_destroy(&attr);
	return job;
}

void sigjob_free(struct sigjob **job)
{
	struct sigjob *j;

	if (job == NULL || *job == NULL)
		return;
	j = *job;
	*job = NULL;
	(void)pthread_mutex_lock(&j->client->lock);
	leave(j->client, j);
	(void)pthread_mutex_unlock(&j->client->lock);
	client_unref(j->client);
	(void)pthread_cond_destroy(&j->answered);
	sigkey_unref(&j->key);
	free(j->signature);
	free(j->store);
	free(j);
}

/* From the session's thread; the job is in the table. */
static void send_at_once(struct sigclient *c, struct sigjob *job)
{
	enum err e;

	(void)pthread_rwlock_rdlock(&c->fd_lock);
	e = c->fd >= 0 ? transmit(c->fd, job) : ERR_BUSY;
	(void)pthread_rwlock_unlock(&c->fd_lock);
	if (e == ERR_OK)
		return;
	(void)pthread_mutex_lock(&c->lock);
	if (e != ERR_BUSY) {
		complete(c, job, e);
	} else if (job->pending) {
		set_unsent(c, job, true);
		wake(c);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

/* Put it into the table and send it; when the socket has no room, others wait before it or there is
 * no signer the reader does that. A new signer may get it from both: the second answer is nobody's.
 */
static enum err submit(struct sigclient *c, struct sigjob *job)
{
	bool at_once = false;
	enum err e = ERR_OK;

	(void)pthread_mutex_lock(&c->lock);
	if (c->stop) {
		e = ERR_PEER_LOST;
	} else if (!enter(c, job)) {
		e = ERR_BUSY;
	} else if (c->fd >= 0 && c->next_fd < 0 && c->unsent == 0) {
		at_once = true;
	} else {
		set_unsent(c, job, true);
		wake(c);
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (at_once)
		send_at_once(c, job);
	return e;
}

struct sigkey *sigclient_known(struct sigclient *client, uint32_t generation, struct slice key_name,
			       struct slice from_domain)
{
	struct sigkey *key = NULL;

	(void)pthread_mutex_lock(&client->lock);
	if (client->next_fd < 0)
		key = keycache_get(client->cache, generation, key_name, from_domain);
	(void)pthread_mutex_unlock(&client->lock);
	return key;
}

enum err sigclient_open(struct sigclient *client, uint32_t generation, struct slice key_name,
			struct slice from_domain, int64_t deadline_ms, struct sigjob **ret_job)
{
	const struct wire_msg request = { .type = WIRE_OPEN,
					  .generation = generation,
					  .key_name = key_name,
					  .from_domain = from_domain };
	struct sigjob *job;
	enum err e = ERR_OK;

	if (key_name.len > LIMIT_KEY_NAME_BYTES || from_domain.len > LIMIT_DOMAIN_BYTES)
		return ERR_LIMIT;
	job = job_new(client, &request, deadline_ms);
	if (job == NULL)
		return ERR_NOMEM;
	job->key = sigclient_known(client, generation, key_name, from_domain);
	job->done = job->key != NULL;
	if (!job->done)
		e = submit(client, job);
	if (e != ERR_OK)
		sigjob_free(&job);
	else
		*ret_job = job;
	return e;
}

enum err sigclient_sign(struct sigclient *client, uint32_t generation, struct sigkey *key,
			struct slice from_domain, struct slice bytes, int64_t deadline_ms,
			struct sigjob **ret_job)
{
	const struct wire_msg request = {
		.type = WIRE_SIGN,
		.generation = generation,
		.key_name = slice_str(key->name),
		.from_domain = from_domain,
		.alg = key->alg,
		.fingerprint = slice_of(key->fingerprint, sizeof(key->fingerprint)),
		.bytes = bytes,
	};
	struct sigjob *job;
	enum err e;

	if (from_domain.len > LIMIT_DOMAIN_BYTES || bytes.len > LIMIT_SIGN_INPUT_BYTES)
		return ERR_LIMIT;
	job = job_new(client, &request, deadline_ms);
	if (job == NULL)
		return ERR_NOMEM;
	e = submit(client, job);
	if (e != ERR_OK)
		sigjob_free(&job);
	else
		*ret_job = job;
	return e;
}

/* Until it is answered or its deadline has passed. */
static enum err wait_done(struct sigjob *job, struct err_detail *detail)
{
	struct sigclient *c = job->client;
	const struct timespec until = { .tv_sec = (time_t)(job->deadline_ms / 1000),
					.tv_nsec = (long)(job->deadline_ms % 1000) * 1000000L };
	int rc = 0;

	(void)pthread_mutex_lock(&c->lock);
	while (!job->done && rc == 0)
		rc = pthread_cond_timedwait(&job->answered, &c->lock, &until);
	if (!job->done) {
		err_detail_set(&job->detail, has_signer(c) ? "the signer process did not answer"
							   : "no signer process");
		complete(c, job, has_signer(c) ? ERR_TIMEOUT : ERR_PEER_LOST);
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (job->error != ERR_OK && detail != NULL)
		*detail = job->detail;
	return job->error;
}

enum err sigclient_open_wait(struct sigjob **job, struct sigkey **ret_key,
			     struct sigkey_names *ret_names, struct err_detail *detail)
{
	enum err e = wait_done(*job, detail);

	if (e == ERR_OK) {
		*ret_key = (*job)->key;
		(*job)->key = NULL; /* handed over */
	} else if (ret_names != NULL) {
		*ret_names = (*job)->names;
	}
	sigjob_free(job);
	return e;
}

enum err sigclient_sign_wait(struct sigjob **job, unsigned char *signature, size_t *ret_len,
			     struct err_detail *detail)
{
	enum err e = wait_done(*job, detail);

	if (e == ERR_OK) {
		memcpy(signature, (*job)->signature, (*job)->signature_len);
		*ret_len = (*job)->signature_len;
	}
	sigjob_free(job);
	return e;
}
