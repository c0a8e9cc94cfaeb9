/* report/report.h: what a less trusted process sends as a report, in all its forms. */
#include "base/buf.h"
#include "report/prometheus.h"
#include "report/report.h"
#include "report/sections.h"

#include <stdint.h>
#include <stdlib.h>

#define OUT_BYTES_MAX 1048576u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const headers[] = { SECTION_MILTER, SECTION_TOKENS, SECTION_FAILURES,
					       SECTION_LATENCY, NULL };
	static void (*const forms[])(struct slice text,
				     struct buf * out) = { report_to_json, report_to_table,
							   report_to_prometheus };
	struct slice text = slice_of(data, size);
	bool valid = report_is_valid(text, headers);

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct buf out;
		struct slice made;

		buf_init(&out, OUT_BYTES_MAX);
		forms[i](text, &out);
		/* A valid report has no control byte, and so has what is made of it. */
		if (valid && buf_finish(&out, &made) == ERR_OK &&
		    (slice_find(made, '\x1b') != made.len || slice_find(made, '\0') != made.len))
			abort();
		buf_done(&out);
	}
	return 0;
}
