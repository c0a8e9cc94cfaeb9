/* The machine's clocks. */
#include "base/clock.h"

#include <time.h>

int64_t clock_mono_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t wall_s(void)
{
	return (int64_t)time(NULL);
}

const struct clock_ops clock_system = { .wall_s = wall_s, .mono_ms = clock_mono_ms };
