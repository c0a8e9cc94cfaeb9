/* Failure reports: see reportmail.h. */
#include "daemon/reportmail.h"

#include "dkim/result.h"

#include <time.h>

#define YEAR_9999_S 253402300799
/* RFC 5322 section 2.1.1 */
#define LINE_MAX_BYTES 998u
/* RFC 2045 section 6.7 rule 5, less the soft line end */
#define QP_LINE_BYTES 75u

static bool is_printing_ascii(char c)
{
	return c >= ' ' && c <= '~';
}

/* A foreign text as the rest of a line. */
static void add_text(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_add_ch(out, is_printing_ascii(text.ptr[i]) ? text.ptr[i] : '?');
}

static void add_field(struct buf *out, const char *name, struct slice value)
{
	if (slice_empty(value))
		return;
	buf_add_fmt(out, "%s: ", name);
	add_text(out, value);
	buf_add_ch(out, '\n');
}

/* Folded texts (Authentication-Results) become one line; the longest is far below LINE_MAX_BYTES
 * for a single signature, and is cut there. */
static void add_unfolded(struct buf *out, const char *name, struct slice value)
{
	size_t len = 0;
	bool blank = true;

	buf_add_fmt(out, "%s: ", name);
	for (size_t i = 0; i < value.len && len < LINE_MAX_BYTES - 100; i++) {
		char c = value.ptr[i];

		if (ch_is_fws(c)) {
			blank = true;
			continue;
		}
		if (blank && len != 0) {
			buf_add_ch(out, ' ');
			len++;
		}
		blank = false;
		buf_add_ch(out, is_printing_ascii(c) ? c : '?');
		len++;
	}
	buf_add_ch(out, '\n');
}

/* RFC 5965 section 3.2: the reverse-path of RFC 5321, in its brackets. */
static void add_mail_from(struct buf *out, struct slice sender)
{
	buf_add_str(out, "Original-Mail-From: <");
	add_text(out, sender);
	buf_add_str(out, ">\n");
}

static void add_date(struct buf *out, const char *name, int64_t at_s)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t at = (time_t)at_s;
	struct tm tm;

	if (at_s < 0 || at_s > YEAR_9999_S || gmtime_r(&at, &tm) == NULL)
		return;
	buf_add_fmt(out, "%s: %s, %d %s %d %02d:%02d:%02d +0000\n", name, days[tm.tm_wday],
		    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
}

static void add_message_header(const struct reportmail *mail, struct buf *out)
{
	add_field(out, "From", slice_str(mail->from));
	buf_add_fmt(out, "To: %s@%s\n", mail->local, mail->domain);
	add_field(out, "Bcc", slice_str(mail->bcc));
	add_date(out, "Date", mail->now_s);
	buf_add_str(out, "Subject: DKIM failure report for ");
	add_text(out, mail->request->text[REPORT_JOB]);
	/* RFC 3834: no vacation notice, no answer of a robot. */
	buf_add_fmt(out,
		    "\nAuto-Submitted: auto-generated\n"
		    "MIME-Version: 1.0\n"
		    "Content-Type: multipart/report; report-type=feedback-report;\n"
		    "\tboundary=\"%s\"\n\n",
		    mail->boundary);
}

static void add_words(const struct reportmail *mail, struct buf *out)
{
	const struct report_request *r = mail->request;

	buf_add_fmt(out,
		    "--%s\nContent-Type: text/plain\n\n"
		    "DKIM failure report for job ",
		    mail->boundary);
	add_text(out, r->text[REPORT_JOB]);
	buf_add_str(out, " on ");
	add_text(out, r->text[REPORT_HOST]);
	buf_add_fmt(out,
		    "\n\nThe signature asked for this report (r=y, RFC 6651). What failed: %s.\n"
		    "The header of the message is attached%s.\n\n",
		    dkim_reason_text(r->reason), r->header_cut ? ", as far as there is room" : "");
}

static const char *failure_word(enum dkim_reason reason)
{
	if (reason == DKIM_REASON_BODY_CHANGED)
		return "bodyhash";
	return reason == DKIM_REASON_KEY_REVOKED ? "revoked" : "signature";
}

static void add_feedback(const struct reportmail *mail, struct buf *out)
{
	static const char *const deliveries[] = { [REPORT_DELIVERED] = "delivered",
						  [REPORT_REJECTED] = "reject",
						  [REPORT_BY_POLICY] = "policy",
						  [REPORT_DELIVERY_OTHER] = "other" };
	const struct report_request *r = mail->request;

	buf_add_fmt(out,
		    "--%s\nContent-Type: message/feedback-report\n\n"
		    "Feedback-Type: auth-failure\n"
		    "User-Agent: hsmdkim/" HSMDKIM_VERSION "\n"
		    "Version: 1\n",
		    mail->boundary);
	add_field(out, "Original-Envelope-Id", r->text[REPORT_JOB]);
	add_mail_from(out, r->text[REPORT_MAIL_FROM]);
	add_date(out, "Arrival-Date", r->arrival_s);
	buf_add_str(out, "Reporting-MTA: dns; ");
	add_text(out, r->text[REPORT_HOST]);
	buf_add_ch(out, '\n');
	add_field(out, "Source-IP", r->text[REPORT_SOURCE_IP]);
	add_unfolded(out, "Authentication-Results", r->text[REPORT_RESULTS]);
	buf_add_fmt(out,
		    "Reported-Domain: %s\n"
		    "Delivery-Result: %s\n"
		    "Auth-Failure: %s (%s)\n"
		    "DKIM-Domain: %s\n",
		    mail->domain, deliveries[r->delivery], failure_word(r->reason),
		    dkim_reason_text(r->reason), mail->domain);
	add_field(out, "DKIM-Selector", r->text[REPORT_SELECTOR]);
	add_field(out, "DKIM-Identity", r->text[REPORT_IDENTITY]);
	buf_add_ch(out, '\n');
}

/* ---- the third part ---- */

/* Can it go as it is? */
static bool is_plain(struct slice header)
{
	size_t line = 0;

	for (size_t i = 0; i < header.len; i++) {
		char c = header.ptr[i];

		line = c == '\n' ? 0 : line + 1;
		if (line > LINE_MAX_BYTES || (!is_printing_ascii(c) && !ch_is_fws(c)))
			return false;
		if (c == '.' && line == 1) /* alone it ends the input of sendmail(1) */
			return false;
		/* Not a line end of two bytes. */
		if ((c == '\r') != (i + 1 < header.len && header.ptr[i + 1] == '\n'))
			return false;
	}
	return true;
}

static void add_plain(struct buf *out, struct slice header)
{
	for (size_t i = 0; i < header.len; i++)
		if (header.ptr[i] != '\r')
			buf_add_ch(out, header.ptr[i]);
}

/* What cannot stand at its place in a line as it is; a dot alone on a line could end the input. */
static bool qp_escapes(struct slice rest, size_t column)
{
	char c = rest.ptr[0];

	if (ch_is_wsp(c)) /* at the end of a line it would be lost */
		return rest.len < 2 || rest.ptr[1] == '\r' || rest.ptr[1] == '\n';
	return !is_printing_ascii(c) || c == '=' || (c == '.' && column == 0);
}

static void add_quoted(struct buf *out, struct slice header)
{
	size_t column = 0;

	for (size_t i = 0; i < header.len; i++) {
		struct slice rest = slice_sub(header, i, header.len);
		bool escaped;

		if (slice_starts(rest, SLICE_LIT("\r\n"))) {
			buf_add_ch(out, '\n');
			column = 0;
			i++;
			continue;
		}
		if (column + 3 > QP_LINE_BYTES) {
			buf_add_str(out, "=\n");
			column = 0;
		}
		escaped = qp_escapes(rest, column);
		if (escaped)
			buf_add_fmt(out, "=%02X", (unsigned char)rest.ptr[0]);
		else
			buf_add_ch(out, rest.ptr[0]);
		column += escaped ? 3 : 1;
	}
}

static void add_header_part(const struct reportmail *mail, struct buf *out)
{
	struct slice header = mail->request->text[REPORT_HEADER];
	bool plain = is_plain(header);

	buf_add_fmt(out, "--%s\nContent-Type: text/rfc822-headers\n%s\n", mail->boundary,
		    plain ? "" : "Content-Transfer-Encoding: quoted-printable\n");
	if (plain)
		add_plain(out, header);
	else
		add_quoted(out, header);
	buf_add_fmt(out, "\n--%s--\n", mail->boundary);
}

enum err reportmail_write(const struct reportmail *mail, struct buf *out)
{
	struct slice ignored;

	add_message_header(mail, out);
	add_words(mail, out);
	add_feedback(mail, out);
	add_header_part(mail, out);
	return buf_finish(out, &ignored);
}
