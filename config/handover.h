/*
 * What passes between the supervisor and its children over their SOCK_SEQPACKET control socket
 * (descriptor 3 of the child). A generation is one consistent set: the settings as text and every
 * table as a sealed memfd.
 *
 *   supervisor -> child
 *     LOAD gen + settings + files  prepare these tables beside the ones in use
 *     COMMIT gen, ABORT gen        switch to them, drop them
 *     PEER fd                      a signer to speak to; (signer) a milter to serve
 *     LISTEN fd                    (milter) the listening socket
 *     REPORTS fd                   (milter, reports) where failure reports are asked for
 *     ASK number text fd           a question, see config/question.h
 *     NOTE text                    (signer) what its predecessors noted
 *     STOP                         finish what is in flight, then exit 0
 *   child -> supervisor
 *     LOADED gen, FAILED gen text
 *     COMMITTED gen                what begins from now on uses these tables
 *     READY                        in service
 *     NOTE text                    (signer) what must survive its restart (PIN refused); with
 *                                  HANDOVER_CHECK_ARGUMENT: a warning
 *     NOTE gen text                (milter) a warning about what it loads
 *     ANSWER number                the answer is written
 */
#ifndef CONFIG_HANDOVER_H
#define CONFIG_HANDOVER_H

#include "base/err.h"
#include "base/slice.h"
#include "config/files.h"
#include "config/settings.h"

#include <stdint.h>

#define HANDOVER_FD 3
/** The signer's argument that makes it check one LOAD, answer LOADED or FAILED, and end: for -n. */
#define HANDOVER_CHECK_ARGUMENT "--check"
/** Exit status of a signer that wants to be started anew, for a module needs it: no crash. */
#define HANDOVER_EXIT_RESTART 75 /* EX_TEMPFAIL */

enum handover_type {
	HANDOVER_LOAD = 1,
	HANDOVER_COMMIT,
	HANDOVER_ABORT,
	HANDOVER_PEER,
	HANDOVER_LISTEN,
	HANDOVER_STOP,
	HANDOVER_LOADED,
	HANDOVER_FAILED,
	HANDOVER_READY,
	HANDOVER_NOTE,
	HANDOVER_ASK,
	HANDOVER_ANSWER,
	HANDOVER_COMMITTED,
	HANDOVER_REPORTS,
};

struct handover_msg {
	enum handover_type type;
	uint32_t generation;	   /**< ASK, ANSWER: number of the question */
	char *text;		   /**< FAILED, NOTE, ASK: NUL-terminated; else NULL */
	struct settings *settings; /**< LOAD */
	struct files *files;	   /**< LOAD: a closed set */
	int fd;			   /**< PEER, LISTEN, ASK, REPORTS: owned by the message; else -1 */
};

void handover_msg_done(struct handover_msg *m);

/** Files of one LOAD; the kernel passes 253 descriptors at once. */
#define HANDOVER_FILES_MAX 200
/** Paths of one LOAD, and the text of the others. */
#define HANDOVER_TEXT_BYTES_MAX ((size_t)64 * 1024)
/** Longest time that handover_send() waits for a peer that does not read. */
#define HANDOVER_SEND_TIMEOUT_MS 10000

/**
 * One packet: the settings and every file of f as descriptors. Never waits: some hundred packets
 * have room in the socket of a child that does not read.
 * @return ERR_LIMIT (more than HANDOVER_FILES_MAX files), ERR_BUSY (no room), ERR_PEER_LOST,
 * ERR_NOMEM, ERR_IO
 */
NODISCARD enum err handover_send_load(int sock, uint32_t generation, const struct settings *s,
				      const struct files *f);

/**
 * Any other message; waits for room: for children, whose supervisor they trust.
 * @param text FAILED, NOTE, ASK; else NULL
 * @param fd   PEER, LISTEN, ASK, REPORTS; stays the caller's. Else -1
 * @return as handover_send_load(); ERR_TIMEOUT in the place of ERR_BUSY
 */
NODISCARD enum err handover_send(int sock, enum handover_type type, uint32_t generation,
				 const char *text, int fd);

/** The same without waiting: for the supervisor, whose children may be stuck or hostile.
 * @return as handover_send_load() */
NODISCARD enum err handover_send_now(int sock, enum handover_type type, uint32_t generation,
				     const char *text, int fd);

/**
 * Wait for the next message. Whatever the peer sends, no descriptor is left open and nothing is
 * believed: a packet that is cut, has descriptors too many or too few, or tables that are not
 * sealed is ERR_PROTOCOL.
 * @param timeout_ms -1: for ever
 * @return ERR_TIMEOUT, ERR_PEER_LOST (the other side is gone), ERR_PROTOCOL, ERR_NOMEM, ERR_IO
 */
NODISCARD enum err handover_recv(int sock, int timeout_ms, struct handover_msg *ret_msg);

#endif
