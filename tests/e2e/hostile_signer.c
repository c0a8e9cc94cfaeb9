/*
 * A signer process that was taken over, for test_hostile_signer.py: it speaks the supervisor's
 * protocol (config/handover.h) and breaks it in the way that the file $HSMDKIM_HOSTILE names, which
 * is read at each message. It signs nothing.
 */
#include "base/buf.h"
#include "config/question.h"
#include "report/report.h"
#include "report/sections.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS_FOR_FIVE_MIB 60000u

static bool is_told_to(const char *what)
{
	const char *path = getenv("HSMDKIM_HOSTILE");
	char text[64];
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

	if (fd >= 0)
		(void)close(fd);
	return n > 0 && slice_eq(slice_trim(slice_of(text, (size_t)n)), slice_str(what));
}

static void say(enum handover_type type, uint32_t generation)
{
	if (handover_send(HANDOVER_FD, type, generation, NULL, -1) != ERR_OK)
		_exit(1);
}

static void add_failures(const char *header, unsigned rows, struct buf *out)
{
	report_section(out, header);
	for (unsigned i = 0; i < rows; i++) {
		report_text(
			out,
			SLICE_LIT("a token whose name is not short, so that it is soon enough"));
		report_text(out, SLICE_LIT("token_timeout"));
		report_number(out, i);
		report_end_row(out);
	}
}

static void answer(const struct handover_msg *ask)
{
	struct handover_msg other = *ask;
	struct buf out;

	buf_init(&out, QUESTION_ANSWER_BYTES_MAX - 1);
	add_failures(is_told_to("columns") ? "@failures\tname\t#count\tclass" : SECTION_FAILURES,
		     is_told_to("much") ? ROWS_FOR_FIVE_MIB : 1, &out);
	if (is_told_to("twice"))
		add_failures(SECTION_FAILURES, 1, &out);
	other.generation += is_told_to("unasked") ? 1000 : 0;
	if (question_answer(HANDOVER_FD, &other, buf_slice(&out)) != ERR_OK)
		_exit(1);
	buf_done(&out);
}

int main(void)
{
	for (;;) {
		struct handover_msg msg = { .fd = -1 };

		if (handover_recv(HANDOVER_FD, -1, &msg) != ERR_OK || msg.type == HANDOVER_STOP)
			return 0;
		if (msg.type == HANDOVER_LOAD) {
			say(HANDOVER_LOADED, msg.generation);
		} else if (msg.type == HANDOVER_COMMIT && !is_told_to("never commit")) {
			say(HANDOVER_COMMITTED, msg.generation);
			say(HANDOVER_READY, 0);
		} else if (msg.type == HANDOVER_ASK) {
			answer(&msg);
		}
		handover_msg_done(&msg);
	}
}
