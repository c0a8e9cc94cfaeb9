/* How long a process that ended waits for its next start. */
#ifndef DAEMON_RESTARTWAIT_H
#define DAEMON_RESTARTWAIT_H

#include <stdint.h>

#define RESTARTWAIT_FIRST_MS 500
#define RESTARTWAIT_MAX_MS 60000
/** Who ran so long begins with the first wait again. */
#define RESTARTWAIT_QUIET_MS 60000

/**
 * Doubled with each end that follows soon.
 * @param wait_ms the last; 0: there was none
 * @param ran_ms  since it was started
 */
int64_t restartwait_next(int64_t wait_ms, int64_t ran_ms);

#endif
