/* Packets of the peer process: what is accepted encodes to the very bytes it came from. */
#include <stdint.h>
#include <stdlib.h>

#include "signer/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* A slice of the message lies in the packet. */
static void check_inside(struct slice s, const uint8_t *data, size_t size)
{
	if (s.len == 0)
		return;
	check((const uint8_t *)s.ptr >= data && s.len <= size &&
	      (size_t)((const uint8_t *)s.ptr - data) <= size - s.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_msg msg;
	struct buf again;

	if (wire_decode(slice_of(data, size), &msg) != ERR_OK)
		return 0;
	check_inside(msg.key_name, data, size);
	check_inside(msg.from_domain, data, size);
	check_inside(msg.fingerprint, data, size);
	check_inside(msg.bytes, data, size);
	check_inside(msg.domain, data, size);
	check_inside(msg.selector, data, size);
	check_inside(msg.text, data, size);
	check(msg.alg < DKIM_ALG_COUNT && msg.error < ERR_COUNT);
	buf_init(&again, WIRE_PACKET_BYTES);
	check(wire_encode(&msg, &again) == ERR_OK);
	check(slice_eq(buf_slice(&again), slice_of(data, size)));
	buf_done(&again);
	return 0;
}
