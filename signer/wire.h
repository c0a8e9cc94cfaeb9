/*
 * The packets between the milter and the signer process, one request or answer each. Both sides are
 * of one build on one machine; each still treats the other as hostile: every field is bounded, a
 * packet is accepted whole or not at all.
 */
#ifndef SIGNER_WIRE_H
#define SIGNER_WIRE_H

#include "base/alg.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

#include <stdint.h>

#define WIRE_FINGERPRINT_BYTES 32u
/** Longest packet: the canonical header and the names around it. */
#define WIRE_PACKET_BYTES (LIMIT_SIGN_INPUT_BYTES + 4096u)

enum wire_type { WIRE_OPEN = 1, WIRE_SIGN, WIRE_OPENED, WIRE_SIGNED, WIRE_FAILED };

/** One packet. Which fields count is said behind each; slices borrow from the packet that was
 * decoded. */
struct wire_msg {
	enum wire_type type;
	uint64_t id;		  /**< all: the client's number of the request */
	uint32_t generation;	  /**< OPEN, SIGN */
	uint32_t left_ms;	  /**< OPEN, SIGN: time until the deadline when it was sent */
	struct slice key_name;	  /**< OPEN, SIGN: at most LIMIT_KEY_NAME_BYTES */
	struct slice from_domain; /**< OPEN, SIGN */
	enum dkim_alg alg;	  /**< SIGN, OPENED */
	struct slice fingerprint; /**< SIGN: WIRE_FINGERPRINT_BYTES */
	struct slice bytes; /**< SIGN: digest or canonical header; SIGNED: signature; OPENED: public
			       key */
	struct slice domain;   /**< OPENED; FAILED: of the key's row, empty when there is none */
	struct slice selector; /**< as domain */
	uint32_t bits;	       /**< OPENED */
	bool wants_input;      /**< OPENED */
	enum err error;	       /**< FAILED, never ERR_OK */
	struct slice text; /**< FAILED: for people; at most sizeof(struct err_detail.text) - 1 */
};

/** Append the packet to out. @return ERR_LIMIT (a field over its bound), ERR_NOMEM */
NODISCARD enum err wire_encode(const struct wire_msg *msg, struct buf *out);

/** @return ERR_PROTOCOL for anything that wire_encode() would not have made */
NODISCARD enum err wire_decode(struct slice packet, struct wire_msg *ret_msg);

#endif
