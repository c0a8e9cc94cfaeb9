/* The fields of RequiredHeaders and StrictHeaders: see required.h. */
#include "daemon/required.h"

#include <stdio.h>

bool required_headers_ok(const struct hdrstore *headers, bool strict, char *text)
{
	static const struct {
		const char *name;
		bool needed; /* once; the others at most once */
		bool strict; /* counted by StrictHeaders only */
	} fields[] = {
		{ "Date", true, false },	 { "From", true, false },
		{ "Sender", false, true },	 { "Reply-To", false, false },
		{ "To", false, false },		 { "Cc", false, false },
		{ "Bcc", false, false },	 { "Message-Id", false, false },
		{ "In-Reply-To", false, false }, { "References", false, false },
		{ "Subject", false, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		size_t count = hdrstore_count_name(headers, slice_str(fields[i].name));

		if (count == 1 || (count == 0 && !fields[i].needed) ||
		    (fields[i].strict && !strict))
			continue;
		(void)snprintf(text, REQUIRED_TEXT_BYTES,
			       fields[i].needed ? "message does not have exactly one %s field"
						: "message has multiple %s fields",
			       fields[i].name);
		return false;
	}
	return true;
}
