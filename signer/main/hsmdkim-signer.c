/* hsmdkim-signer: the process that holds tokens, PINs and key files. Started by hsmdkim, never by
 * hand. */
#include "config/handover.h"
#include "signer/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

static bool has_supervisor(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(HANDOVER_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* No core file, no debugger, no way to more rights; it ends with its supervisor. A module's broken
 * pipe to its own daemon must not end us. */
static bool lock_process(void)
{
	const struct rlimit no_core = { 0, 0 };

	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &no_core) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 &&
	       signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

int main(int argc, char **argv)
{
	if (!has_supervisor()) {
		(void)fputs("hsmdkim-signer is started by hsmdkim; see hsmdkim(8)\n", stderr);
		return 64;
	}
	if (!lock_process())
		return SIGNER_EXIT_FAILED;
	(void)prctl(PR_SET_NAME, "hsmdkim-signer"); /* it was started by a descriptor */
	if (argc == 2 && strcmp(argv[1], HANDOVER_CHECK_ARGUMENT) == 0)
		return signer_process_check();
	signer_process_run();
}
