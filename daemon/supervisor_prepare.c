/* The supervisor's start and end: configuration, users, socket, signals. */
#include "daemon/supervisor_priv.h"

#include "base/log.h"
#include "config/logsetup.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

static int exit_status(enum err err)
{
	if (err == ERR_BUSY) /* another process has the socket or the PidFile */
		return EX_UNAVAILABLE;
	switch (err_class(err)) {
	case ERR_CLASS_NONE:
		return EX_OK;
	case ERR_CLASS_PERM:
		return EX_CONFIG;
	case ERR_CLASS_TEMP:
	case ERR_CLASS_BUG:
		break;
	}
	return err == ERR_IO ? EX_CONFIG : EX_OSERR;
}

int supervisor_complain(const struct supervisor *s, enum err err, struct err_detail *detail)
{
	if (s->current != NULL)
		settings_place_error(s->current->settings, detail);
	log_line(LOG_LEVEL_ERROR, "%s", detail->text[0] != '\0' ? detail->text : err_text(err));
	return exit_status(err);
}

/* Only root can become another user. */
static void warn_same_user(const char *setting, const char *value, const struct userid *user)
{
	if (value != NULL && geteuid() != 0 && user->uid != geteuid())
		log_line(LOG_LEVEL_WARNING,
			 "%s %s is not used: hsmdkim was not started by root and runs as user %u",
			 setting, value, (unsigned)geteuid());
}

static enum err find_users(struct supervisor *s, struct err_detail *detail)
{
	const struct settings *settings = s->current->settings;
	const char *signer = settings->signer_user_id;
	enum err err = ERR_OK;

	if (settings->user_id != NULL)
		err = userid_find("UserID", settings->user_id, &s->child[CHILD_MILTER].user,
				  detail);
	s->child[CHILD_SIGNER].user = s->child[CHILD_MILTER].user;
	if (err == ERR_OK && signer != NULL)
		err = userid_find("SignerUserID", signer, &s->child[CHILD_SIGNER].user, detail);
	if (err == ERR_OK && geteuid() == 0 && !s->child[CHILD_MILTER].user.set)
		log_line(LOG_LEVEL_WARNING, "UserID is not set: mail is parsed as root");
	if (err == ERR_OK) {
		warn_same_user("UserID", settings->user_id, &s->child[CHILD_MILTER].user);
		warn_same_user("SignerUserID", signer, &s->child[CHILD_SIGNER].user);
	}
	return err;
}

/* systemd's socket wins over the setting, else there would be two. */
static enum err open_socket(struct supervisor *s, struct err_detail *detail)
{
	const struct settings *settings = s->current->settings;
	const struct userid *user = &s->child[CHILD_MILTER].user;
	struct listen_options options = { .umask = (int)settings->umask,
					  .uid = (uid_t)-1,
					  .gid = (gid_t)-1 };
	enum err err = listen_inherited(&s->listen_fd, detail);

	if (err != ERR_OK || s->listen_fd >= 0) {
		s->addr = (struct listen_addr){ .kind = LISTEN_FD };
		return err;
	}
	if (settings->socket == NULL) {
		err_detail_set(detail, "milter socket must be specified (Socket or -p)");
		return ERR_CONFIG;
	}
	if (user->set && geteuid() == 0) {
		options.uid = user->uid;
		options.gid = user->gid;
	}
	err = listen_parse(settings->socket, &s->addr, detail);
	return err == ERR_OK ? listen_open(&s->addr, &options, &s->listen_fd, detail) : err;
}

static enum err open_signals(struct supervisor *s)
{
	static const int wanted[] = { SIGHUP, SIGUSR1, SIGTERM, SIGINT, SIGCHLD };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		(void)sigaddset(&set, wanted[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return ERR_IO;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd >= 0 ? ERR_OK : ERR_IO;
}

/* Everything that can be wrong before the first child. @return exit status; EX_OK: go on */
int supervisor_prepare(struct supervisor *s)
{
	struct settings_warnings warnings = { NULL, 0 };
	struct err_detail detail = { "" };
	int status = EX_OK;
	/* Its children give new privileges up themselves, but for the one that starts MTACommand.
	 */
	enum err err = sandbox_hide_process(&detail);

	logsetup_find_journal();
	if (err == ERR_OK)
		err = generation_enter_base(&s->options->source, &warnings, &detail);
	if (err == ERR_OK)
		err = generation_read(&s->options->source, NULL, ++s->last_number, &s->current,
				      &warnings, &detail);
	if (err == ERR_OK)
		logsetup_apply(s->current->settings);
	else
		status = supervisor_complain(s, err, &detail);
	logsetup_warnings(&warnings); /* what is also wrong, too */
	if (err != ERR_OK)
		return status;
	err = child_program_path(CHILD_SIGNER_PROGRAM, s->child[CHILD_SIGNER].path, PATH_MAX);
	if (err == ERR_OK)
		err = child_program_path(NULL, s->child[CHILD_MILTER].path, PATH_MAX);
	if (err == ERR_OK)
		err = find_users(s, &detail);
	if (err != ERR_OK)
		return supervisor_complain(s, err, &detail);
	err = open_socket(s, &detail);
	if (err == ERR_OK)
		err = supervisor_control_open(s, &detail);
	if (err == ERR_OK)
		err = supervisor_metrics_open(s, &detail);
	if (err == ERR_OK)
		err = supervisor_reports_open(s, &detail);
	if (err != ERR_OK) {
		(void)supervisor_complain(s, err, &detail);
		return err == ERR_CONFIG ? EX_CONFIG : EX_UNAVAILABLE;
	}
	err = open_signals(s);
	return err == ERR_OK ? EX_OK : supervisor_complain(s, err, &detail);
}

void supervisor_cleanup(struct supervisor *s)
{
	if (s->listen_fd >= 0) {
		listen_unlink(&s->addr, s->listen_fd);
		(void)close(s->listen_fd);
	}
	supervisor_reports_close(s);
	supervisor_metrics_close(s);
	supervisor_control_close(s);
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	notes_forget(&s->notes, NULL);
	generation_free(&s->candidate);
	generation_free(&s->current);
}
