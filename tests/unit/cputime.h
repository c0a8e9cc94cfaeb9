/* CPU time of this process: what a busy machine does not change. */
#ifndef TESTS_CPUTIME_H
#define TESTS_CPUTIME_H

#include <time.h>

static inline int cpu_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

#endif
