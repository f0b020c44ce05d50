/* make-filters DIR: writes DIR/filters.h and DIR/filters.c, which hold the seccomp filters as BPF programs.
 * make runs it at build time, because libseccomp needs more time to build a filter than a short command needs
 * to run. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DENY(number) SCMP_ACT_ERRNO(number)
#define SYS(name) SCMP_SYS(name)

/* Forbidden whatever the arguments. -EPERM: programs take it as "not permitted here" and continue if they
 * can. */
static const int refused[] = {
    /* access to other processes */
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

/* -ENOSYS: callers fall back to what older kernels offer. */
static const int absent[] = {
    SYS(io_uring_setup), SYS(io_uring_enter), SYS(io_uring_register),
    SYS(memfd_create),   SYS(memfd_secret),   SYS(shmget),
    SYS(semget),         SYS(msgget),         SYS(mq_open),
    SYS(clone3), /* a filter cannot read its flags, which are in memory; libc falls back to clone */
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
    /* it allocates disk space instantly and, with FALLOC_FL_KEEP_SIZE, beyond RLIMIT_FSIZE; libc falls back
     * to writing */
    bad |= seccomp_rule_add(f, DENY(EOPNOTSUPP), SYS(fallocate), 0);
    for (size_t i = 0; i < sizeof namespace_flags / sizeof *namespace_flags; i++)
        bad |= seccomp_rule_add(f, DENY(EPERM), SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, namespace_flags[i], namespace_flags[i]));
    /* these ioctls inject input into a terminal that another program reads */
    bad |= seccomp_rule_add(f, DENY(EPERM), SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCSTI));
    bad |=
        seccomp_rule_add(f, DENY(EPERM), SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCLINUX));
    return bad;
}

/* Restricts socket families. Rules are additive, so the other families are forbidden in ranges around the
 * allowed ones. socketpair() of AF_UNIX stays allowed: it connects to no other process, and event loops use
 * it to wake themselves. */
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
    /* of AF_NETLINK only protocol 0 (routes): a resolver uses it to ask for the host's addresses */
    bad |= seccomp_rule_add(f, no, SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
                            SCMP_A2(SCMP_CMP_NE, 0, 0));
    bad |= seccomp_rule_add(f, DENY(EPERM), SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_INET, 0),
                            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW));
    return bad;
}

static scmp_filter_ctx command_filter(bool network)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    return f && add_lists(f) == 0 && add_sockets(f, network) == 0 ? f : NULL;
}

/* Shorter slices would come before the threads of the services (lib/base/sched.h). Process 1 sets those of
 * the command before it forbids that. */
static scmp_filter_ctx slices_filter(void)
{
    static const int calls[] = {SYS(sched_setattr), SYS(sched_setscheduler), SYS(sched_setparam)};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int bad = f ? 0 : 1;
    for (size_t i = 0; f && i < sizeof calls / sizeof *calls; i++)
        bad |= seccomp_rule_add(f, DENY(EPERM), calls[i], 0);
    return bad ? NULL : f;
}

static scmp_filter_ctx compute_filter(void)
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
    return bad ? NULL : f;
}

static FILE *create(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fopen(path, "w");
}

static bool write_filter(FILE *c, const char *name, scmp_filter_ctx f)
{
    FILE *program = tmpfile();
    struct sock_filter step;
    if (!f || !program || seccomp_export_bpf(f, fileno(program)) != 0 || fseek(program, 0, SEEK_SET) != 0)
        return false;
    fprintf(c, "const struct sock_filter filter_%s[] = {\n", name);
    while (fread(&step, sizeof step, 1, program) == 1)
        fprintf(c, "    {0x%x, %u, %u, 0x%x},\n", step.code, step.jt, step.jf, step.k);
    fprintf(c, "};\nconst size_t filter_%s_n = sizeof filter_%s / sizeof *filter_%s;\n", name, name, name);
    fclose(program);
    seccomp_release(f);
    return true;
}

static void write_header(FILE *h)
{
    static const char *const names[] = {"offline", "network", "slices", "compute"};
    fputs("/* Made by runner/filters/main.c. */\n#pragma once\n\n#include <linux/filter.h>\n#include "
          "<stddef.h>\n\n",
          h);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fprintf(h, "extern const struct sock_filter filter_%s[];\nextern const size_t filter_%s_n;\n",
                names[i], names[i]);
}

int main(int argc, char **argv)
{
    FILE *h = argc == 2 ? create(argv[1], "filters.h") : NULL,
         *c = argc == 2 ? create(argv[1], "filters.c") : NULL;
    if (!h || !c) {
        fprintf(stderr, "usage: make-filters DIR\n");
        return 2;
    }
    write_header(h);
    fputs("#include \"filters.h\"\n\n", c);
    bool good = write_filter(c, "offline", command_filter(false)) &&
                write_filter(c, "network", command_filter(true)) &&
                write_filter(c, "slices", slices_filter()) && write_filter(c, "compute", compute_filter());
    good = fclose(h) == 0 && fclose(c) == 0 && good;
    if (!good)
        fprintf(stderr, "make-filters: libseccomp refuses the rules\n");
    return good ? 0 : 1;
}
