/* For dkim/verify*.c only. */
#ifndef DKIM_VERIFY_PRIV_H
#define DKIM_VERIFY_PRIV_H

#include "dkim/bodyhash.h"
#include "dkim/verify.h"

/* What the check of one signature needs. */
struct verify_job {
	struct arena *scratch; /* for this signature alone */
	const struct hdrstore *headers;
	const struct dkim_verify_params *params;
	struct slice body_digest; /* of its canonicalization, hash and l= */
	uint64_t body_length;	  /* canonical bytes of the whole body */
};

/* Sets everything of the verdict that the key record and the cryptography decide.
 * @return the reason that becomes the verdict */
enum dkim_reason verify_check(const struct verify_job *job, const struct dkim_key_answer *answer,
			      struct dkim_verdict *verdict);

#endif
