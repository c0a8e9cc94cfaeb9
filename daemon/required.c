/* The fields of RequiredHeaders: see required.h. */
#include "daemon/required.h"

#include <stdio.h>

bool required_headers_ok(const struct hdrstore *headers, char *text)
{
	static const struct {
		const char *name;
		bool needed; /* once; the others at most once */
	} fields[] = {
		{ "Date", true },	 { "From", true },	   { "Reply-To", false },
		{ "To", false },	 { "Cc", false },	   { "Bcc", false },
		{ "Message-Id", false }, { "In-Reply-To", false }, { "References", false },
		{ "Subject", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		size_t count = hdrstore_count_name(headers, slice_str(fields[i].name));

		if (count == 1 || (count == 0 && !fields[i].needed))
			continue;
		(void)snprintf(text, REQUIRED_TEXT_BYTES,
			       fields[i].needed ? "message does not have exactly one %s field"
						: "message has multiple %s fields",
			       fields[i].name);
		return false;
	}
	return true;
}
