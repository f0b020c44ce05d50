#define _GNU_SOURCE
#include "runner/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "runner/filter.h"

static const char passwd_text[] =
    "root:x:0:0:root:/:/usr/sbin/nologin\nskill:x:1000:1000:skill:/work:/bin/sh\n";
static const char group_text[] = "root:x:0:\nskill:x:1000:\n";

/* What of the child's end goes through the exec; -1 where there is none. */
struct inside {
    int in, out, err, control, note, info, filter, self, passwd, group;
};

struct words {
    void *ctx;
    const char **list;
    size_t count;
};

static void add(struct words *w, const char *word)
{
    w->list = talloc_realloc(w->ctx, w->list, const char *, w->count + 2);
    w->list[w->count++] = word;
    w->list[w->count] = NULL;
}

static void add3(struct words *w, const char *option, const char *a, const char *b)
{
    add(w, option);
    add(w, a);
    if (b)
        add(w, b);
}

static const char *number_text(void *ctx, uint64_t n)
{
    return talloc_asprintf(ctx, "%llu", (unsigned long long)n);
}

static void add_namespaces(struct words *w, const struct runner_job *job)
{
    static const char *const always[] = {
        "bwrap",
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--as-pid-1",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "sandbox",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
    };
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        add(w, always[i]);
    if (!job->network && !job->no_net_ns)
        add(w, "--unshare-net");
    if (!job->no_cgroup_ns)
        add(w, "--unshare-cgroup");
}

static void add_system(struct words *w, const struct runner_job *job, const struct inside *in)
{
    static const char *const links[] = {"lib", "lib64", "bin", "sbin"};
    static const char *const etc[] = {"/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"};
    static const char *const etc_network[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
                                              "/etc/ssl/certs"};
    /* tmpfs is memory: bounded apart from the memory limit, which counts processes */
    const uint64_t mib = 1024 * 1024, tmp_bytes = job->memory_bytes < 64 * mib ? job->memory_bytes : 64 * mib;
    const char *tmp_size = number_text(w->ctx, tmp_bytes);
    add3(w, "--ro-bind", "/usr", "/usr");
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        add3(w, "--symlink", talloc_asprintf(w->ctx, "usr/%s", links[i]),
             talloc_asprintf(w->ctx, "/%s", links[i]));
    add3(w, "--proc", "/proc", NULL);
    add3(w, "--dev", "/dev", NULL);
    add3(w, "--size", tmp_size, NULL);
    add3(w, "--tmpfs", "/dev/shm", NULL);
    add3(w, "--remount-ro", "/dev", NULL);
    add3(w, "--size", tmp_size, NULL);
    add3(w, "--tmpfs", "/tmp", NULL);
    add3(w, "--file", number_text(w->ctx, (uint64_t)in->passwd), "/etc/passwd");
    add3(w, "--file", number_text(w->ctx, (uint64_t)in->group), "/etc/group");
    for (size_t i = 0; i < sizeof etc / sizeof *etc; i++)
        add3(w, "--ro-bind-try", etc[i], etc[i]);
    for (size_t i = 0; job->network && i < sizeof etc_network / sizeof *etc_network; i++)
        add3(w, "--ro-bind-try", etc_network[i], etc_network[i]);
}

static void add_folders(struct words *w, const struct runner_job *job)
{
    const char *work = talloc_asprintf(w->ctx, "%s/work", job->run_dir);
    add3(w, "--ro-bind", job->skill_dir, "/skill");
    add3(w, "--bind", work, "/work");
    add3(w, "--ro-bind", talloc_asprintf(w->ctx, "%s/inputs", work), "/work/inputs");
    add3(w, "--remount-ro", "/", NULL);
    add3(w, "--chdir", "/work", NULL);
}

/* argv[0] with a slash, or naming a file of the skill, is the skill's; any argument that starts with "./" and
 * names a file of the skill is that file (the working directory is the run's, not the skill's). Others stay
 * as they are. */
static const char *place_argument(void *ctx, const struct runner_job *job, const char *arg, bool first)
{
    struct stat st;
    const char *name = strncmp(arg, "./", 2) == 0 ? arg + 2 : first && *arg != '/' ? arg : NULL;
    if (!name || !*name)
        return arg;
    if (lstat(talloc_asprintf(ctx, "%s/%s", job->skill_dir, name), &st) != 0 && !(first && strchr(arg, '/')))
        return arg;
    return talloc_asprintf(ctx, "/skill/%s", name);
}

static const char **make_argv(void *ctx, const struct runner_job *job, const struct inside *in)
{
    struct words w = {.ctx = ctx};
    add_namespaces(&w, job);
    add_system(&w, job, in);
    add_folders(&w, job);
    if (in->filter >= 0)
        add3(&w, "--seccomp", number_text(ctx, (uint64_t)in->filter), NULL);
    add3(&w, "--info-fd", number_text(ctx, (uint64_t)in->info), "--");
    add3(&w, talloc_asprintf(ctx, "/proc/self/fd/%d", in->self), "--init",
         number_text(ctx, (uint64_t)in->control));
    add3(&w, number_text(ctx, (uint64_t)in->note), number_text(ctx, job->memory_bytes),
         number_text(ctx, job->disk_bytes));
    add3(&w, number_text(ctx, job->processes_max), "--", NULL);
    for (size_t i = 0; job->argv[i]; i++)
        add(&w, place_argument(ctx, job, job->argv[i], i == 0));
    return w.list;
}

static const char **make_env(void *ctx, const struct runner_job *job)
{
    static const char *const always[] = {
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "HOME=/work",
        "TMPDIR=/tmp",
        "LANG=C.UTF-8",
        "USER=skill",
        "MILLRACE_SKILL=/skill",
    };
    struct words w = {.ctx = ctx};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        add(&w, always[i]);
    for (size_t i = 0; job->env[i]; i++)
        add(&w, job->env[i]);
    return w.list;
}

/* A file that can be read and no more: as stdin it cannot grow into memory that nobody counts, and needs no
 * feeding. */
static int sealed_file(const char *text, size_t size)
{
    int fd = memfd_create("inputs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    for (size_t done = 0; fd >= 0 && done < size;) {
        ssize_t n = write(fd, text + done, size - done);
        if (n <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)n;
    }
    if (fd >= 0 && (lseek(fd, 0, SEEK_SET) != 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void keep_open(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

/* Between fork and exec: become the slot's user and bubblewrap. Does not return. */
static void become(const struct runner_job *job, const struct inside *in, const char **argv, const char **env,
                   pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* before the change of user, which takes the right to write it: with memory short the sandbox goes first
     */
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1000", 4) == 4)
        close(fd);
    if (job->uid && (setgroups(0, NULL) != 0 || setresgid(job->uid, job->uid, job->uid) != 0 ||
                     setresuid(job->uid, job->uid, job->uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after it: a change of user clears it */
    if (getppid() != parent || chdir("/") != 0)
        _exit(126);
    dup2(in->in, 0);
    dup2(in->out, 1);
    dup2(in->err, 2);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        _exit(126);
    const int kept[] = {in->control, in->note, in->info, in->filter, in->self, in->passwd, in->group};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        keep_open(kept[i]);
    execve("/usr/bin/bwrap", (char **)argv, (char **)env);
    dprintf(2, "cannot run /usr/bin/bwrap: %s\n", strerror(errno));
    _exit(126);
}

static bool open_pipes(struct inside *in, struct runner_sandbox *box)
{
    int p[5][2];
    for (int i = 0; i < 5; i++)
        if (pipe2(p[i], O_CLOEXEC) != 0)
            return false;
    in->control = p[0][0];
    box->control_fd = p[0][1];
    box->note_fd = p[1][0];
    in->note = p[1][1];
    box->info_fd = p[2][0];
    in->info = p[2][1];
    box->out_fd = p[3][0];
    in->out = p[3][1];
    box->err_fd = p[4][0];
    in->err = p[4][1];
    return true;
}

static void close_inside(const struct inside *in)
{
    const int fds[] = {in->in,   in->out,    in->err,  in->control, in->note,
                       in->info, in->filter, in->self, in->passwd,  in->group};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

enum err runner_sandbox_start(void *ctx, const struct runner_job *job, struct runner_sandbox *box_r,
                              const char **why_r)
{
    struct inside in;
    if ((geteuid() == 0) != (job->uid != 0)) {
        *why_r = geteuid() == 0 ? "as root a slot's uid is needed: nothing runs as uid 0"
                                : "only root can run as another uid";
        return ERR_INVALID;
    }
    if (!open_pipes(&in, box_r)) {
        *why_r = "no more file descriptors";
        return ERR_INTERNAL;
    }
    in.in = sealed_file(job->stdin_text, job->stdin_bytes);
    in.passwd = sealed_file(passwd_text, sizeof passwd_text - 1);
    in.group = sealed_file(group_text, sizeof group_text - 1);
    in.self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    in.filter = job->no_seccomp ? -1 : runner_filter_open(job->network);
    pid_t parent = getpid(), pid = -1;
    const char **argv = make_argv(ctx, job, &in), **env = make_env(ctx, job);
    if (in.in < 0 || in.passwd < 0 || in.group < 0 || in.self < 0)
        *why_r = "cannot hand the inputs over: no memory files";
    else if (!job->no_seccomp && in.filter < 0)
        *why_r = "cannot make the seccomp filter";
    else if ((pid = fork()) == 0)
        become(job, &in, argv, env, parent);
    else if (pid < 0)
        *why_r = "cannot fork";
    box_r->bwrap = pid;
    close_inside(&in);
    return pid > 0 ? OK : ERR_INTERNAL;
}
