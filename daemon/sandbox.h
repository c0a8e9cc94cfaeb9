/*
 * What the milter process gives up before it reads its first mail: the file system (Landlock, where
 * the kernel has it) and every system call that libmilter, libunbound and the log do not need
 * (seccomp). A process that was taken over can speak to the MTA, to name servers and to the signer
 * process; it cannot open a file, start a program or look into another process.
 */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>

/** What was put in force, for the log and for hsmdkim-ctl. */
struct sandbox_state {
	bool seccomp;
	bool landlock;
	int landlock_abi; /**< 0: the kernel has none */
};

/**
 * Enter the sandbox for good; all threads that start later are in it, so call it before the first
 * one. Open before: log sockets, /etc/resolv.conf, trust anchors, the time zone.
 * @return ERR_DENIED with a detail when the kernel has the feature and refused; a kernel without
 * Landlock is no error (ret_state tells)
 */
NODISCARD enum err sandbox_enter_milter(struct sandbox_state *ret_state, struct err_detail *detail);

/**
 * The part that every process of ours wants: not dumpable (no core, no ptrace, no /proc/PID/mem for
 * others of the same user), RLIMIT_CORE 0.
 * @return ERR_DENIED with a detail
 */
NODISCARD enum err sandbox_hide_process(struct err_detail *detail);
/** And no new privileges, for those that start no foreign program. @return ERR_DENIED with a detail
 */
NODISCARD enum err sandbox_lock_process(struct err_detail *detail);

#endif
