/*
 * The signer process as the supervisor and the milter meet it: generations go in over its control
 * socket, requests over the peer socket. A test program that includes this has one token directory.
 */
#ifndef TESTS_UNIT_SIGNER_WORLD_H
#define TESTS_UNIT_SIGNER_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "config/handover.h"
#include "config/notes.h"
#include "config/pinsource.h"
#include "signer/client.h"
#include "signer/process.h"
#include "softhsm.h"

/* Far more than any step takes. */
#define PATIENCE_MS 20000
#define FROM SLICE_LIT("from.example")

static struct softhsm hsm;
static struct sigkey_names last_names; /* of the key that could not be opened last */
static const char *rate_limit; /* TokenRateLimit of what is loaded from now on; NULL: none */

/* --- a supervisor and a milter in one ----------------------------------------------------------
 */

struct world {
	pid_t pid;
	int control;
	struct sigclient *client;
	uint32_t generation;
	struct handover_msg msg; /* the last one that came */
	struct notes notes;	 /* what the process wants the next one to know */
};

static inline void in_child(int sock)
{
	const char *program = getenv("SIGNER");

	if (sock != HANDOVER_FD)
		(void)dup2(sock, HANDOVER_FD);
	else
		(void)fcntl(sock, F_SETFD, 0);
	if (program != NULL)
		(void)execl(program, "hsmdkim-signer", (char *)NULL);
	_exit(127);
}

static inline void start_process(struct world *w)
{
	int pair[2];

	*w = (struct world){ .msg.fd = -1 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0)
		in_child(pair[1]);
	(void)close(pair[1]);
	w->control = pair[0];
}

static inline int exit_status(struct world *w)
{
	int status = 0;

	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	w->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void end(struct world *w)
{
	sigclient_free(&w->client);
	handover_msg_done(&w->msg);
	notes_forget(&w->notes, NULL);
	if (w->control >= 0)
		(void)close(w->control);
	if (w->pid > 0)
		(void)exit_status(w);
}

/* The next message that is not a note; notes are kept. */
static inline enum handover_type next_message(struct world *w)
{
	do {
		handover_msg_done(&w->msg);
		assert_int_equal(handover_recv(w->control, PATIENCE_MS, &w->msg), ERR_OK);
		if (w->msg.type == HANDOVER_NOTE) {
			notes_put(&w->notes, w->msg.text);
			w->msg.text = NULL;
		}
	} while (w->msg.type == HANDOVER_NOTE);
	return w->msg.type;
}

static inline void put_text(struct files *f, const char *path, const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(files_put(f, path, fd), ERR_OK);
}

static inline void set(struct settings *s, const char *name, const char *value)
{
	struct err_detail detail = { "" };

	if (settings_set(s, slice_str(name), slice_str(value), NULL, &detail) != ERR_OK)
		fail_msg("%s: %s", name, detail.text);
}

/* LOAD with this KeyTable (lines) and, with_token, the SoftHSM token. */
static inline void send_load(struct world *w, const char *keytable, bool with_token,
			     const char *pin)
{
	AUTO(settings_free) struct settings *s = settings_new();
	AUTO(files_free) struct files *f = files_new_closed();

	set(s, "KeyTable", "file:/tables/keys");
	set(s, "Syslog", "no");
	set(s, "TokenTimeout", "2s");
	if (rate_limit != NULL)
		set(s, "TokenRateLimit", rate_limit);
	put_text(f, "/tables/keys", keytable);
	if (with_token) {
		set(s, "PKCS11Module", hsm.module_path);
		set(s, "PKCS11PinSource", "file:/pin");
		put_text(f, "/pin", pin);
	}
	w->generation++;
	assert_int_equal(handover_send_load(w->control, w->generation, s, f), ERR_OK);
}

/* @return LOADED or FAILED */
static inline enum handover_type load(struct world *w, const char *keytable, bool with_token,
				      const char *pin)
{
	send_load(w, keytable, with_token, pin);
	return next_message(w);
}

static inline void commit(struct world *w)
{
	assert_int_equal(handover_send(w->control, HANDOVER_COMMIT, w->generation, NULL, -1),
			 ERR_OK);
	assert_int_equal(next_message(w), HANDOVER_COMMITTED);
	assert_int_equal(w->msg.generation, w->generation);
}

static inline void connect_milter(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(handover_send(w->control, HANDOVER_PEER, 0, NULL, pair[1]), ERR_OK);
	(void)close(pair[1]);
	if (w->client == NULL)
		assert_int_equal(sigclient_new(64, &w->client), ERR_OK);
	sigclient_attach(w->client, pair[0]);
}

static inline const char *right_pin(void)
{
	static char text[LIMIT_PIN_BYTES + 1];

	(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(pin_bytes(hsm.pin)));
	return text;
}

/* In service with this KeyTable. */
static inline void begin(struct world *w, const char *keytable, bool with_token)
{
	start_process(w);
	if (load(w, keytable, with_token, right_pin()) != HANDOVER_LOADED)
		fail_msg("%s", w->msg.text);
	commit(w);
	assert_int_equal(next_message(w), HANDOVER_READY);
	connect_milter(w);
}

static inline enum err open_key(struct world *w, const char *name, struct sigkey **ret_key,
				struct err_detail *detail)
{
	struct sigjob *job = NULL;

	assert_int_equal(sigclient_open(w->client, w->generation, slice_str(name), FROM,
					clock_mono_ms() + PATIENCE_MS, &job),
			 ERR_OK);
	return sigclient_open_wait(&job, ret_key, &last_names, detail);
}

static inline bool openssl_accepts(const struct sigkey *key, struct slice digest,
				   struct slice signature)
{
	const unsigned char *p = key->pubkey;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)key->pubkey_len);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok;

	if (key->alg == DKIM_ALG_ED25519_SHA256)
		ok = EVP_DigestVerifyInit(md, NULL, NULL, NULL, pkey) == 1 &&
		     EVP_DigestVerify(md, (const unsigned char *)signature.ptr, signature.len,
				      (const unsigned char *)digest.ptr, digest.len) == 1;
	else
		ok = EVP_PKEY_verify_init(ctx) == 1 &&
		     EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		     EVP_PKEY_verify(ctx, (const unsigned char *)signature.ptr, signature.len,
				     (const unsigned char *)digest.ptr, digest.len) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

/* Bytes as the milter sends them: what a token that hashes itself wants, or their digest. */
static inline enum err sign_bytes(struct world *w, struct sigkey *key, bool whole)
{
	static const char header[] = "from:a@example.com\r\ndkim-signature:v=1; a=rsa-sha256; b=";
	unsigned char signature[LIMIT_SIGNATURE_BYTES];
	unsigned char digest[32];
	struct slice hashed = slice_of((const char *)digest, sizeof(digest));
	struct sigjob *job = NULL;
	size_t len = 0;
	enum err err;

	assert_int_equal(EVP_Digest(header, strlen(header), digest, NULL, EVP_sha256(), NULL), 1);
	assert_int_equal(sigclient_sign(w->client, w->generation, key, FROM,
					whole ? slice_str(header) : hashed,
					clock_mono_ms() + PATIENCE_MS, &job),
			 ERR_OK);
	err = sigclient_sign_wait(&job, signature, &len, NULL);
	if (err == ERR_OK)
		assert_true(openssl_accepts(key, hashed, slice_of((const char *)signature, len)));
	return err;
}

static inline enum err sign(struct world *w, struct sigkey *key)
{
	return sign_bytes(w, key, key->wants_input);
}

static inline void assert_signs(struct world *w, const char *name)
{
	struct err_detail detail = { "" };
	struct sigkey *key = NULL;

	if (open_key(w, name, &key, &detail) != ERR_OK)
		fail_msg("%s: %s", name, detail.text);
	assert_int_equal(sign(w, key), ERR_OK);
	sigkey_unref(&key);
}

#endif
