/* CPU time of this thread: for tests of how cost grows, whatever else the machine does. */
#ifndef TESTS_CPUTIME_H
#define TESTS_CPUTIME_H

#include <stdint.h>
#include <time.h>

static inline int64_t cpu_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
