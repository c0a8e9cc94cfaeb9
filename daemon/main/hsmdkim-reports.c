/* hsmdkim-reports: the process that sends failure reports (SendReports). Started by hsmdkim, never
 * by hand. A program of its own, for it alone starts a foreign program: MTACommand. */
#include "config/handover.h"
#include "daemon/reportsproc.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>

int main(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(HANDOVER_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    type != SOCK_SEQPACKET) {
		(void)fputs("hsmdkim-reports is started by hsmdkim; see hsmdkim(8)\n", stderr);
		return EX_USAGE;
	}
	(void)prctl(PR_SET_NAME, "hsmdkim-reports"); /* it was started by a descriptor */
	return reportsproc_main();
}
