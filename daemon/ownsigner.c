/* A signer process of our own: see ownsigner.h. */
#include "daemon/ownsigner.h"

#include "base/text.h"
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

static enum err find_user(const struct settings *s, struct userid *ret_user,
			  struct err_detail *detail)
{
	if (s->signer_user_id != NULL)
		return userid_find("SignerUserID", s->signer_user_id, ret_user, detail);
	if (s->user_id != NULL)
		return userid_find("UserID", s->user_id, ret_user, detail);
	return ERR_OK;
}

static enum err spawn(const struct settings *s, bool quiet, struct ownsigner *signer,
		      struct err_detail *detail)
{
	char path[PATH_MAX];
	char *const argv[] = { (char[]){ CHILD_SIGNER_PROGRAM }, NULL };
	struct userid user = { .set = false };
	const struct child_program program = {
		.path = path, .argv = argv, .user = &user, .keep_credentials = true, .quiet = quiet
	};
	int pair[2];
	enum err err = find_user(s, &user, detail);

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

/* The tables' answer; a signer may have notes for a supervisor before. */
static enum err wait_loaded(int control, struct err_detail *detail)
{
	struct handover_msg msg = { .fd = -1 };
	enum err err;

	do {
		handover_msg_done(&msg);
		err = handover_recv(control, LOAD_TIMEOUT_MS, &msg);
	} while (err == ERR_OK && msg.type != HANDOVER_LOADED && msg.type != HANDOVER_FAILED);
	if (err == ERR_OK && msg.type == HANDOVER_FAILED) {
		char text[2048];

		err_detail_set(detail, "%s",
			       text_sanitize(slice_str(msg.text), text, sizeof(text)));
		err = ERR_CONFIG;
	}
	handover_msg_done(&msg);
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
	enum err err;

	*ret_signer = (struct ownsigner){ .control = -1 };
	err = spawn(g->settings, quiet, ret_signer, detail);
	if (err == ERR_OK)
		err = generation_send_signer(g, ret_signer->control);
	if (err == ERR_OK)
		err = wait_loaded(ret_signer->control, detail);
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
