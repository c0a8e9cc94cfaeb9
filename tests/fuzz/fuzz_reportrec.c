/* Reporting records, and the report that comes of one: whatever DNS says, the recipient is one
 * mailbox of the domain. */
#include <stdint.h>
#include <stdlib.h>

#include "daemon/reportmail.h"
#include "dkim/reportrec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_record(const struct reportrec *record)
{
	size_t len = strlen(record->local);

	check(len != 0 && len <= REPORTREC_LOCAL_BYTES && record->percent <= 100 &&
	      record->kinds <= REPORTREC_ALL);
	check(strcspn(record->local, "@<>\"\\,;:()[] \t\r\n|/%!") == len);
	for (size_t i = 0; i < len; i++)
		check(record->local[i] > ' ' && record->local[i] < 127);
}

/* The same bytes as a header: one To, and the last line closes the last part. */
static void check_report(struct slice header)
{
	static const char end[] = "\n--boundary--\n";
	const struct report_request request = {
		.reason = DKIM_REASON_BAD_SIGNATURE,
		.text = { [REPORT_JOB] = header, [REPORT_HEADER] = header }
	};
	const struct reportmail mail = { .from = "a@example.net",
					 .local = "l",
					 .domain = "example.com",
					 .boundary = "boundary",
					 .request = &request };
	struct buf out;

	buf_init(&out, REPORTMAIL_BYTES);
	check(reportmail_write(&mail, &out) == ERR_OK);
	check(slice_ends(buf_slice(&out), slice_str(end)));
	for (size_t i = 0; i < out.len; i++)
		check((out.data[i] >= ' ' && out.data[i] < 127) || ch_is_wsp(out.data[i]) ||
		      out.data[i] == '\n');
	check(strstr(out.data, "\n.\n") == NULL);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(size != 0 ? (const void *)data : "", size);
	struct report_request request;
	struct reportrec record;

	if (reportrec_parse(text, &record))
		check_record(&record);
	check_report(slice_sub(text, 0, REPORT_HEADER_BYTES));
	if (reportwire_decode(text, &request) == ERR_OK)
		check(request.reason < DKIM_REASON_COUNT);
	return 0;
}
