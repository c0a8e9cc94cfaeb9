/* Waits between starts: see restartwait.h. */
#include "daemon/restartwait.h"

int64_t restartwait_next(int64_t wait_ms, int64_t ran_ms)
{
	if (ran_ms >= RESTARTWAIT_QUIET_MS || wait_ms == 0)
		return RESTARTWAIT_FIRST_MS;
	return wait_ms < RESTARTWAIT_MAX_MS / 2 ? 2 * wait_ms : RESTARTWAIT_MAX_MS;
}
