/* The milter process's sandbox. */
#define _GNU_SOURCE /* syscall(), CLONE_THREAD */
#include "daemon/sandbox.h"

#include <errno.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Calls of libc, libmilter (poll, accept, send), libunbound (UDP and TCP sockets), threads and the
 * log. */
static const int allowed_calls[] = {
	/* descriptors that are open, and their data */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(pread64), /* lmdb: tables */
	SCMP_SYS(dup),
	SCMP_SYS(pipe2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	/* sockets */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(listen),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(socketpair),
	/* memory and threads */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(futex_waitv),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(membarrier),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* signals, time, chance */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_getres),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getrandom),
	/* harmless facts about ourselves */
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getppid),
	SCMP_SYS(getrusage),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(times),
};

/* A try to start a program or to reach into a process is an attack: no errno, the process ends. */
static const int deadly_calls[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(memfd_create),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(bpf),
	SCMP_SYS(keyctl),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(mount),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
};

static struct scmp_arg_cmp arg_is(unsigned arg, uint64_t value)
{
	return (struct scmp_arg_cmp){ .arg = arg, .op = SCMP_CMP_EQ, .datum_a = value };
}

/* The bits of mask in the argument are those of value. */
static struct scmp_arg_cmp arg_bits(unsigned arg, uint64_t mask, uint64_t value)
{
	return (struct scmp_arg_cmp){
		.arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
	};
}

/* Calls that are allowed with some arguments only. */
static int add_argument_rules(scmp_filter_ctx ctx)
{
	const unsigned families[] = { AF_UNIX /* syslog */, AF_INET, AF_INET6 };
	int rc;

	/* Its flags are behind a pointer that a filter can't follow; libc falls back to clone(). */
	rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(families); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				      arg_is(0, families[i]));
	if (rc == 0) /* threads, never a process */
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      arg_bits(0, CLONE_THREAD, CLONE_THREAD));
	if (rc == 0) /* no memory becomes code */
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      arg_bits(2, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				      arg_bits(2, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, arg_is(1, FIONBIO));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, arg_is(1, FIONREAD));
	return rc;
}

static int add_rules(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(allowed_calls); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(deadly_calls); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly_calls[i], 0);
	return rc != 0 ? rc : add_argument_rules(ctx);
}

static enum err enter_seccomp(struct err_detail *detail)
{
	/* Everything else fails with EPERM: a libc that learns a new call goes on without it. */
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (ctx == NULL)
		return ERR_NOMEM;
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1); /* threads that run already, too */
	if (rc == 0)
		rc = add_rules(ctx);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc == 0)
		return ERR_OK;
	err_detail_set(detail, "seccomp filter: %s", strerror(-rc));
	return ERR_DENIED;
}

/* No rule is added to the ruleset: nothing below / can be opened, made, removed or executed any
 * more. */
static enum err enter_landlock(int *ret_abi, struct err_detail *detail)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = (1ULL << 13) - 1 }; /* ABI 1 */
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	long fd;
	long rc;

	*ret_abi = 0;
	if (abi < 1)
		return ERR_OK; /* not in this kernel, or switched off at boot */
	fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	rc = fd >= 0 ? syscall(SYS_landlock_restrict_self, fd, 0) : -1;
	if (rc != 0)
		err_detail_set(detail, "Landlock: %s", strerror(errno));
	if (fd >= 0)
		(void)close((int)fd);
	if (rc != 0)
		return ERR_DENIED;
	*ret_abi = (int)abi;
	return ERR_OK;
}

enum err sandbox_hide_process(struct err_detail *detail)
{
	const struct rlimit no_core = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &no_core) == 0)
		return ERR_OK;
	err_detail_set(detail, "process limits: %s", strerror(errno));
	return ERR_DENIED;
}

enum err sandbox_lock_process(struct err_detail *detail)
{
	enum err e = sandbox_hide_process(detail);

	if (e != ERR_OK || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return e;
	err_detail_set(detail, "no new privileges: %s", strerror(errno));
	return ERR_DENIED;
}

enum err sandbox_enter_milter(struct sandbox_state *ret_state, struct err_detail *detail)
{
	struct sandbox_state state = { 0 };
	enum err e = sandbox_lock_process(detail);

	if (e == ERR_OK)
		e = enter_landlock(&state.landlock_abi, detail);
	if (e == ERR_OK)
		e = enter_seccomp(detail);
	if (e != ERR_OK)
		return e;
	state.landlock = state.landlock_abi > 0;
	state.seccomp = true;
	*ret_state = state;
	return ERR_OK;
}
