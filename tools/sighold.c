/* Signals that wait. */
#include "tools/sighold.h"

#include <pthread.h>

void sighold_begin(sigset_t *ret_before)
{
	sigset_t held;

	(void)sigemptyset(&held);
	(void)sigaddset(&held, SIGINT);
	(void)sigaddset(&held, SIGTERM);
	(void)sigaddset(&held, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &held, ret_before);
}

void sighold_end(const sigset_t *before)
{
	(void)pthread_sigmask(SIG_SETMASK, before, NULL);
}
