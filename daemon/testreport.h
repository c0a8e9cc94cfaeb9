/* What hsmdkim -t says of a message, in OpenDKIM's words. */
#ifndef DAEMON_TESTREPORT_H
#define DAEMON_TESTREPORT_H

#include "daemon/message.h"

struct testreport {
	const char *program;
	const char *file; /**< NULL: not about one */
	unsigned verbose;
};

/** On standard error: "PROGRAM: FILE: TEXT". */
void testreport_complain(const struct testreport *t, const char *text);

/** On standard error, with -v -v, and with -v when it is not CONTINUE: how a step of the dialogue
 * was answered. @param step as libmilter calls it: "eom" */
void testreport_step(const struct testreport *t, const char *step, enum answer answer);
/** A header field was taken. */
void testreport_header(const struct testreport *t, size_t line);

/** On standard output: the message is one to leave alone. */
void testreport_passed(const struct testreport *t);

/**
 * On standard output: what came of the signatures. After message_answer().
 * @return EX_OK; EX_SOFTWARE: one that should have been made is missing, or nobody could look at
 * those that are there
 */
int testreport_results(const struct testreport *t, const struct message *m);

#endif
