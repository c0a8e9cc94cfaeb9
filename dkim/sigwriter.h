/*
 * Writes the value of a signature field tag by tag and folds it as it goes: LF and a tab before a
 * tag, LF, a tab and a space inside one. No line is longer than SIGWRITER_COLUMNS where it can be
 * helped (a tab counts 8).
 */
#ifndef DKIM_SIGWRITER_H
#define DKIM_SIGWRITER_H

#include "base/buf.h"
#include "base/slice.h"

#include <stdint.h>

/* RFC 5322 asks for 78; two columns stay free for a relay that adds something. */
#define SIGWRITER_COLUMNS 76u

struct sigwriter {
	struct buf out;
	size_t column; /**< of the line that is open, the field name included */
};

/** @param name_len length of the field name before the value */
void sigwriter_init(struct sigwriter *w, size_t name_len, size_t max_bytes);
void sigwriter_done(struct sigwriter *w);

/** " name=value;" in one piece. */
void sigwriter_tag(struct sigwriter *w, const char *name, struct slice value);
void sigwriter_tag_u64(struct sigwriter *w, const char *name, uint64_t value);
/** " name=a:b:c;", foldable behind each colon. */
void sigwriter_tag_list(struct sigwriter *w, const char *name, const struct slice *items,
			size_t count);
/** " name=value;" of base64 or DKIM-Quoted-Printable, foldable anywhere but inside =XX. */
void sigwriter_tag_text(struct sigwriter *w, const char *name, struct slice value);

/** A new line with "b=" alone: what stands here is signed, the value follows by sigwriter_text().
 */
void sigwriter_open_b(struct sigwriter *w);
/** Append base64, foldable anywhere. */
void sigwriter_text(struct sigwriter *w, struct slice text);

#endif
