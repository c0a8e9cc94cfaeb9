/* A signer process of our own: see ownsigner.h. */
#include "daemon/ownsigner.h"

#include "base/text.h"
#include "config/faults.h"
#include "config/handover.h"
#include "daemon/child.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A million rows take a second. */
#define LOAD_TIMEOUT_MS 60000
/* One message is signed at a time. */
#define PENDING_MAX 64u

static enum err make_pair(int pair[static 2], struct err_detail *detail)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0)
		return ERR_OK;
	err_detail_set(detail, "cannot make a socket pair: %s", strerror(errno));
	return ERR_IO;
}

static enum err spawn(const struct settings *s, const struct ownsigner_how *how,
		      struct ownsigner *signer, struct err_detail *detail)
{
	char path[PATH_MAX];
	char *const argv[] = { (char[]){ CHILD_SIGNER_PROGRAM }, (char *)how->argument, NULL };
	struct userid user;
	const struct child_program program = { .path = path,
					       .argv = argv,
					       .user = &user,
					       .keep_credentials = how->keep_credentials,
					       .quiet = how->quiet };
	int pair[2];
	enum err err = generation_signer_user(s, &user, detail);

	if (err == ERR_OK)
		err = child_program_path(CHILD_SIGNER_PROGRAM, path, sizeof(path));
	if (err == ERR_OK)
		err = make_pair(pair, detail);
	if (err != ERR_OK)
		return err;
	err = child_spawn(&program, pair[1], &signer->pid, detail);
	(void)close(pair[1]);
	signer->control = pair[0];
	return err;
}

/* The tables' answer, with its notes before. */
static enum err wait_loaded(int control, const struct settings *s, const struct ownsigner_how *how,
			    struct err_detail *detail)
{
	enum handover_type type = HANDOVER_NOTE;

	while (type == HANDOVER_NOTE) {
		struct handover_msg msg = { .fd = -1 };
		struct err_detail warning;
		char text[2048];
		enum err err = handover_recv(control, how->timeout_ms, &msg);

		if (err != ERR_OK)
			return err;
		type = msg.type;
		(void)text_sanitize(slice_str(msg.text), text, sizeof(text));
		if (type == HANDOVER_NOTE && how->warnings != NULL) {
			err_detail_set(&warning, "%s", text);
			settings_place_error(s, &warning);
			settings_warn(how->warnings, warning.text);
		}
		if (type == HANDOVER_FAILED)
			faults_spread(msg.text, s, detail, how->warnings);
		handover_msg_done(&msg);
		if (type == HANDOVER_FAILED)
			return ERR_CONFIG;
	}
	return type == HANDOVER_LOADED ? ERR_OK : ERR_PROTOCOL;
}

enum err ownsigner_load(const struct generation *g, const struct ownsigner_how *how,
			struct ownsigner *ret_signer, struct err_detail *detail)
{
	enum err err;

	*ret_signer = (struct ownsigner){ .control = -1 };
	err = spawn(g->settings, how, ret_signer, detail);
	if (err == ERR_OK)
		err = generation_send_signer(g, ret_signer->control);
	if (err == ERR_OK)
		err = wait_loaded(ret_signer->control, g->settings, how, detail);
	if (err != ERR_OK && detail->text[0] == '\0')
		err_detail_set(detail, "the signer process: %s", err_text(err));
	return err;
}

static enum err pair_up(struct ownsigner *signer, struct err_detail *detail)
{
	int pair[2];
	enum err err = sigclient_new(PENDING_MAX, &signer->client);

	if (err == ERR_OK)
		err = make_pair(pair, detail);
	if (err != ERR_OK)
		return err;
	err = handover_send(signer->control, HANDOVER_PEER, 0, NULL, pair[0]);
	(void)close(pair[0]);
	sigclient_attach(signer->client, pair[1]);
	return err;
}

enum err ownsigner_start(const struct generation *g, bool quiet, struct ownsigner *ret_signer,
			 struct err_detail *detail)
{
	const struct ownsigner_how how = { .keep_credentials = true,
					   .quiet = quiet,
					   .timeout_ms = LOAD_TIMEOUT_MS };
	enum err err = ownsigner_load(g, &how, ret_signer, detail);

	if (err == ERR_OK)
		err = handover_send(ret_signer->control, HANDOVER_COMMIT, g->number, NULL, -1);
	if (err == ERR_OK)
		err = pair_up(ret_signer, detail);
	if (err != ERR_OK && detail->text[0] == '\0')
		err_detail_set(detail, "the signer process: %s", err_text(err));
	return err;
}

void ownsigner_stop(struct ownsigner *signer)
{
	sigclient_free(&signer->client);
	if (signer->control >= 0) {
		/* It ends when it has logged out, and without us, too. */
		if (handover_send(signer->control, HANDOVER_STOP, 0, NULL, -1) != ERR_OK &&
		    signer->pid > 0)
			(void)kill(signer->pid, SIGKILL);
		(void)close(signer->control);
	}
	if (signer->pid > 0)
		(void)waitpid(signer->pid, NULL, 0);
	*signer = (struct ownsigner){ .control = -1 };
}
