#define _GNU_SOURCE
#include "runner/filter.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DENY(number) SCMP_ACT_ERRNO(number)
#define SYS(name) SCMP_SYS(name)

/* Refused whatever the arguments. -EPERM: programs take it for "not allowed here" and go on where they can.
 */
static const int refused[] = {
    /* other processes' insides */
    SYS(ptrace),
    SYS(process_vm_readv),
    SYS(process_vm_writev),
    SYS(process_madvise),
    SYS(kcmp),
    SYS(pidfd_getfd),
    SYS(move_pages),
    SYS(migrate_pages),
    /* mounts and namespaces */
    SYS(mount),
    SYS(umount2),
    SYS(pivot_root),
    SYS(chroot),
    SYS(fsopen),
    SYS(fsconfig),
    SYS(fsmount),
    SYS(fspick),
    SYS(move_mount),
    SYS(open_tree),
    SYS(mount_setattr),
    SYS(unshare),
    SYS(setns),
    SYS(quotactl),
    SYS(quotactl_fd),
    /* keyrings */
    SYS(keyctl),
    SYS(add_key),
    SYS(request_key),
    /* kernel interfaces with a history */
    SYS(bpf),
    SYS(perf_event_open),
    SYS(userfaultfd),
    SYS(fanotify_init),
    SYS(open_by_handle_at),
    SYS(name_to_handle_at),
    SYS(lookup_dcookie),
    SYS(vhangup),
    SYS(acct),
    SYS(syslog),
    SYS(modify_ldt),
    SYS(vmsplice),
    /* the machine */
    SYS(kexec_load),
    SYS(kexec_file_load),
    SYS(init_module),
    SYS(finit_module),
    SYS(delete_module),
    SYS(reboot),
    SYS(swapon),
    SYS(swapoff),
    SYS(iopl),
    SYS(ioperm),
    SYS(settimeofday),
    SYS(clock_settime),
    SYS(clock_adjtime),
    SYS(sethostname),
    SYS(setdomainname),
};

/* -ENOSYS: callers have a fallback for kernels that lack it. */
static const int absent[] = {
    SYS(io_uring_setup), SYS(io_uring_enter), SYS(io_uring_register),
    SYS(memfd_create),   SYS(memfd_secret),   SYS(shmget),
    SYS(semget),         SYS(msgget),         SYS(mq_open),
    SYS(clone3), /* its flags lie in memory, out of a filter's sight; libc falls back to clone */
};

static const scmp_datum_t namespace_flags[] = {
    CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET,
};

static int add_lists(scmp_filter_ctx f)
{
    int bad = 0;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        bad |= seccomp_rule_add(f, DENY(EPERM), refused[i], 0);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        bad |= seccomp_rule_add(f, DENY(ENOSYS), absent[i], 0);
    /* takes disk in no time, and with FALLOC_FL_KEEP_SIZE past RLIMIT_FSIZE; libc falls back to writing */
    bad |= seccomp_rule_add(f, DENY(EOPNOTSUPP), SYS(fallocate), 0);
    for (size_t i = 0; i < sizeof namespace_flags / sizeof *namespace_flags; i++)
        bad |= seccomp_rule_add(f, DENY(EPERM), SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, namespace_flags[i], namespace_flags[i]));
    /* typing into a terminal that someone else reads */
    bad |= seccomp_rule_add(f, DENY(EPERM), SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCSTI));
    bad |=
        seccomp_rule_add(f, DENY(EPERM), SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCLINUX));
    return bad;
}

/* Which families may be opened. Rules are additive, so the rest is refused in ranges around the allowed ones.
 * A socketpair of AF_UNIX stays: it reaches nobody, and event loops wake themselves through one. */
static int add_sockets(scmp_filter_ctx f, bool network)
{
    const uint32_t no = DENY(EAFNOSUPPORT);
    if (!network)
        return seccomp_rule_add(f, no, SYS(socket), 0);
    int bad = seccomp_rule_add(f, no, SYS(socket), 1, SCMP_A0(SCMP_CMP_LT, AF_INET, 0));
    bad |= seccomp_rule_add(f, no, SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));
    for (scmp_datum_t family = AF_INET + 1; family < AF_NETLINK; family++)
        if (family != AF_INET6)
            bad |= seccomp_rule_add(f, no, SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family, 0));
    /* of netlink only protocol 0, routes: what a resolver asks which addresses the host has */
    bad |= seccomp_rule_add(f, no, SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
                            SCMP_A2(SCMP_CMP_NE, 0, 0));
    bad |= seccomp_rule_add(f, DENY(EPERM), SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_INET, 0),
                            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW));
    return bad;
}

int runner_filter_open(bool network)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    bool good = fd >= 0 && f && add_lists(f) == 0 && add_sockets(f, network) == 0 &&
                seccomp_export_bpf(f, fd) == 0 && lseek(fd, 0, SEEK_SET) == 0;
    if (f)
        seccomp_release(f);
    if (!good && fd >= 0)
        close(fd);
    return good ? fd : -1;
}

bool runner_filter_compute_only(void)
{
    static const int allowed[] = {
        SYS(read),      SYS(write),          SYS(brk),          SYS(mmap),          SYS(munmap),
        SYS(mremap),    SYS(mprotect),       SYS(madvise),      SYS(futex),         SYS(lseek),
        SYS(exit),      SYS(exit_group),     SYS(getpid),       SYS(sigaltstack),   SYS(gettid),
        SYS(getrandom), SYS(rt_sigprocmask), SYS(rt_sigreturn), SYS(clock_gettime), SYS(sched_yield),
    };
    scmp_filter_ctx f = seccomp_init(DENY(EPERM));
    int bad = f ? 0 : 1;
    for (size_t i = 0; f && i < sizeof allowed / sizeof *allowed; i++)
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    bad = bad || seccomp_load(f) != 0;
    if (f)
        seccomp_release(f);
    return !bad;
}
