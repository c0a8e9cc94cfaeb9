/* Signals that wait. Handlers and no mask: the threads of a module would inherit that, and a module
 * that hangs could not be ended. */
#include "tools/sighold.h"

#include <stddef.h>

static const int numbers[SIGHOLD_COUNT] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t noted[SIGHOLD_COUNT];

static void note(int number)
{
	for (int i = 0; i < SIGHOLD_COUNT; i++)
		if (numbers[i] == number)
			noted[i] = 1;
}

void sighold_begin(struct sighold *ret_hold)
{
	struct sigaction action = { .sa_handler = note,
				    .sa_flags = (int)(SA_RESTART | SA_RESETHAND) };

	(void)sigemptyset(&action.sa_mask);
	for (int i = 0; i < SIGHOLD_COUNT; i++) {
		(void)sigaction(numbers[i], NULL, &ret_hold->before[i]);
		if (ret_hold->before[i].sa_handler != SIG_IGN)
			(void)sigaction(numbers[i], &action, NULL);
	}
}

void sighold_end(const struct sighold *hold)
{
	for (int i = 0; i < SIGHOLD_COUNT; i++)
		(void)sigaction(numbers[i], &hold->before[i], NULL);
	for (int i = 0; i < SIGHOLD_COUNT; i++) {
		if (noted[i] == 0)
			continue;
		noted[i] = 0;
		(void)raise(numbers[i]);
	}
}
