/* hsmdkim-metrics: the process that serves MetricsListen. Started by hsmdkim, never by hand. A
 * program of its own, so that no other process maps an HTTP server. */
#include "config/handover.h"
#include "daemon/metricsproc.h"

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
		(void)fputs("hsmdkim-metrics is started by hsmdkim; see hsmdkim(8)\n", stderr);
		return EX_USAGE;
	}
	(void)prctl(PR_SET_NAME, "hsmdkim-metrics"); /* it was started by a descriptor */
	return metricsproc_main();
}
