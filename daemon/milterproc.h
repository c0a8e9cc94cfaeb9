/* The milter process: what the hidden child role of the program runs. */
#ifndef DAEMON_MILTERPROC_H
#define DAEMON_MILTERPROC_H

/** The first argument that makes the program a milter process. */
#define MILTERPROC_ARGUMENT "--milter-process"

/** Serve the supervisor on descriptor 3 (config/handover.h) until it says STOP or is gone. @return
 * exit status */
int milterproc_main(void);

#endif
