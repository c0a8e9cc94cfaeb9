/* Requests for failure reports: a head of fixed size, then the texts. Both sides are of one build
 * on one machine, so numbers travel as they are. */
#include "daemon/reportwire.h"

#include "base/limits.h"

static const size_t text_max[REPORT_TEXT_COUNT] = {
	[REPORT_JOB] = 64,
	[REPORT_HOST] = 255,
	[REPORT_DOMAIN] = 253,
	[REPORT_SELECTOR] = LIMIT_SELECTOR_BYTES,
	[REPORT_IDENTITY] = 640,
	[REPORT_SOURCE_IP] = 46,
	[REPORT_MAIL_FROM] = 512,
	[REPORT_RESULTS] = 4096,
	[REPORT_HEADER] = REPORT_HEADER_BYTES,
};

struct head {
	int64_t arrival_s;
	uint32_t reason;
	uint32_t delivery;
	uint32_t header_cut;
	uint32_t len[REPORT_TEXT_COUNT];
};

enum err reportwire_encode(const struct report_request *request, struct buf *out)
{
	struct head head;
	struct slice ignored;

	if (request->text[REPORT_DOMAIN].len > text_max[REPORT_DOMAIN])
		return ERR_LIMIT;
	memset(&head, 0, sizeof(head)); /* no padding of ours leaves the process */
	head.arrival_s = request->arrival_s;
	head.reason = (uint32_t)request->reason;
	head.delivery = (uint32_t)request->delivery;
	head.header_cut = request->header_cut ? 1 : 0;
	for (size_t i = 0; i < REPORT_TEXT_COUNT; i++)
		head.len[i] = (uint32_t)slice_sub(request->text[i], 0, text_max[i]).len;
	buf_add(out, slice_of(&head, sizeof(head)));
	for (size_t i = 0; i < REPORT_TEXT_COUNT; i++)
		buf_add(out, slice_sub(request->text[i], 0, head.len[i]));
	return buf_finish(out, &ignored);
}

static bool head_valid(const struct head *head)
{
	if (head->reason >= DKIM_REASON_COUNT || head->delivery > REPORT_DELIVERY_OTHER ||
	    head->header_cut > 1)
		return false;
	for (size_t i = 0; i < REPORT_TEXT_COUNT; i++)
		if (head->len[i] > text_max[i])
			return false;
	return true;
}

enum err reportwire_decode(struct slice packet, struct report_request *ret_request)
{
	struct report_request request;
	struct head head;
	size_t at = sizeof(head);

	if (packet.len < sizeof(head))
		return ERR_PROTOCOL;
	memcpy(&head, packet.ptr, sizeof(head));
	if (!head_valid(&head))
		return ERR_PROTOCOL;
	request.arrival_s = head.arrival_s;
	request.reason = (enum dkim_reason)head.reason;
	request.delivery = (enum report_delivery)head.delivery;
	request.header_cut = head.header_cut != 0;
	for (size_t i = 0; i < REPORT_TEXT_COUNT; i++) {
		request.text[i] = slice_sub(packet, at, at + head.len[i]);
		at += head.len[i]; /* bounded by head_valid() */
	}
	if (at != packet.len)
		return ERR_PROTOCOL;
	*ret_request = request;
	return ERR_OK;
}
