/* Time, behind a table so that tests fix it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock_ops {
	/** Seconds since 1970-01-01 UTC: what t= and x= say. */
	int64_t (*wall_s)(void);
	/** Milliseconds of a clock that never jumps: deadlines. */
	int64_t (*mono_ms)(void);
};

/** The machine's clocks. */
extern const struct clock_ops clock_system;

/** Milliseconds of CLOCK_MONOTONIC, the deadline clock of the whole program. */
int64_t clock_mono_ms(void);
/** The same in microseconds: to measure how long something takes. */
int64_t clock_mono_us(void);

#endif
