#define _GNU_SOURCE
#include "runner/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/sched.h"
#include "runner/seccomp.h"
#include "runner/spawn.h"

static const char passwd_text[] =
    "root:x:0:0:root:/:/usr/sbin/nologin\nskill:x:1000:1000:skill:/work:/bin/sh\n";
static const char group_text[] = "root:x:0:\nskill:x:1000:\n";

/* Descriptors that bubblewrap or process 1 inherits; -1: absent. */
struct sandbox_child_fds {
    int in, out, err, control, note, filter, self, passwd, group;
};

struct arg_list {
    void *ctx;
    const char **list;
    size_t count;
};

static void arg_add(struct arg_list *w, const char *word)
{
    w->list = talloc_realloc(w->ctx, w->list, const char *, w->count + 2);
    w->list[w->count++] = word;
    w->list[w->count] = NULL;
}

static void arg_add3(struct arg_list *w, const char *option, const char *a, const char *b)
{
    arg_add(w, option);
    arg_add(w, a);
    if (b)
        arg_add(w, b);
}

static const char *number_text(void *ctx, uint64_t n)
{
    return talloc_asprintf(ctx, "%llu", (unsigned long long)n);
}

static void arg_add_namespaces(struct arg_list *w, const struct runner_job *job)
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
        arg_add(w, always[i]);
    if (!job->network && !job->no_net_ns)
        arg_add(w, "--unshare-net");
    if (!job->no_cgroup_ns)
        arg_add(w, "--unshare-cgroup");
}

static void arg_add_system(struct arg_list *w, const struct runner_job *job,
                           const struct sandbox_child_fds *in)
{
    static const char *const links[] = {"lib", "lib64", "bin", "sbin"};
    static const char *const etc[] = {"/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"};
    static const char *const etc_network[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
                                              "/etc/ssl/certs"};
    /* A tmpfs is memory. It is bounded separately because the memory limit counts only processes. */
    const uint64_t mib = 1024 * 1024, tmp_bytes = job->memory_bytes < 64 * mib ? job->memory_bytes : 64 * mib;
    const char *tmp_size = number_text(w->ctx, tmp_bytes);
    arg_add3(w, "--ro-bind", "/usr", "/usr");
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        arg_add3(w, "--symlink", talloc_asprintf(w->ctx, "usr/%s", links[i]),
                 talloc_asprintf(w->ctx, "/%s", links[i]));
    arg_add3(w, "--proc", "/proc", NULL);
    arg_add3(w, "--dev", "/dev", NULL);
    arg_add3(w, "--size", tmp_size, NULL);
    arg_add3(w, "--tmpfs", "/dev/shm", NULL);
    arg_add3(w, "--remount-ro", "/dev", NULL);
    arg_add3(w, "--size", tmp_size, NULL);
    arg_add3(w, "--tmpfs", "/tmp", NULL);
    arg_add3(w, "--file", number_text(w->ctx, (uint64_t)in->passwd), "/etc/passwd");
    arg_add3(w, "--file", number_text(w->ctx, (uint64_t)in->group), "/etc/group");
    for (size_t i = 0; i < sizeof etc / sizeof *etc; i++)
        arg_add3(w, "--ro-bind-try", etc[i], etc[i]);
    for (size_t i = 0; job->network && i < sizeof etc_network / sizeof *etc_network; i++)
        arg_add3(w, "--ro-bind-try", etc_network[i], etc_network[i]);
}

/* Where bind_folders mounts the run's folders if the runner is root. */
#define MOUNT_POINT "/mnt"

static void arg_add_folders(struct arg_list *w, const struct runner_job *job)
{
    const char *work = job->uid ? MOUNT_POINT "/work" : talloc_asprintf(w->ctx, "%s/work", job->work_parent);
    arg_add3(w, "--ro-bind", job->uid ? MOUNT_POINT "/skill" : job->skill_dir, "/skill");
    arg_add3(w, "--bind", work, "/work");
    arg_add3(w, "--ro-bind", talloc_asprintf(w->ctx, "%s/inputs", work), "/work/inputs");
    arg_add3(w, "--remount-ro", "/", NULL);
    arg_add3(w, "--chdir", "/work", NULL);
}

/* Maps an argument to its path in the sandbox, where the working directory is the run's folder and the skill
 * is /skill. argv[0] that contains a slash, or names a file of the skill, becomes a path below /skill, unless
 * it is absolute. Any other argument that begins with "./" and names a file of the skill becomes that file's
 * path. All others are unchanged. */
static const char *map_argument(void *ctx, const struct runner_job *job, const char *arg, bool first)
{
    struct stat st;
    const char *name = strncmp(arg, "./", 2) == 0 ? arg + 2 : first && *arg != '/' ? arg : NULL;
    if (!name || !*name)
        return arg;
    if (lstat(talloc_asprintf(ctx, "%s/%s", job->skill_dir, name), &st) != 0 && !(first && strchr(arg, '/')))
        return arg;
    return talloc_asprintf(ctx, "/skill/%s", name);
}

static const char **make_argv(void *ctx, const struct runner_job *job, const struct sandbox_child_fds *in)
{
    struct arg_list w = {.ctx = ctx};
    arg_add_namespaces(&w, job);
    arg_add_system(&w, job, in);
    arg_add_folders(&w, job);
    if (in->filter >= 0)
        arg_add3(&w, "--seccomp", number_text(ctx, (uint64_t)in->filter), NULL);
    arg_add(&w, "--");
    arg_add3(&w, talloc_asprintf(ctx, "/proc/self/fd/%d", in->self), "--init",
             number_text(ctx, (uint64_t)in->control));
    arg_add3(&w, number_text(ctx, (uint64_t)in->note), number_text(ctx, job->memory_bytes),
             number_text(ctx, job->disk_bytes));
    arg_add3(&w, number_text(ctx, job->processes_max), job->no_seccomp ? "0" : "1",
             talloc_asprintf(ctx, "%d", job->groups.workspace));
    arg_add(&w, "--");
    for (size_t i = 0; job->argv[i]; i++)
        arg_add(&w, map_argument(ctx, job, job->argv[i], i == 0));
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
    struct arg_list w = {.ctx = ctx};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        arg_add(&w, always[i]);
    for (size_t i = 0; job->env[i]; i++)
        arg_add(&w, job->env[i]);
    return w.list;
}

/* Returns a sealed memfd with these bytes: as standard input it cannot grow into memory that nothing counts,
 * and it needs no writer. -1 on failure. */
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

static void clear_cloexec(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return good;
}

/* As root: changes to the slot's user. As an ordinary user: keeps that user, mapped to itself in the new user
 * namespace. */
static bool change_user(const struct runner_job *job, uid_t uid, gid_t gid)
{
    char map[64];
    if (job->uid)
        return setgroups(0, NULL) == 0 && setresgid(job->uid, job->uid, job->uid) == 0 &&
               setresuid(job->uid, job->uid, job->uid) == 0;
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (!write_text("/proc/self/uid_map", map) || !write_text("/proc/self/setgroups", "deny"))
        return false;
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    return write_text("/proc/self/gid_map", map);
}

static bool bind_folder(const char *from, const char *to)
{
    return mkdir(to, 0711) == 0 && mount(from, to, NULL, MS_BIND, NULL) == 0;
}

/* Mounts the skill's and the run's folders at MOUNT_POINT, in the guard's own mount namespace. The slot's
 * user must reach these folders wherever they are, even below a folder that it cannot enter (a demo below
 * /root, for example). The descriptors are opened first, because MOUNT_POINT may itself be above the folders.
 */
static bool bind_folders(const struct runner_job *job)
{
    char work[4096], skill_link[64], work_link[64];
    snprintf(work, sizeof work, "%s/work", job->work_parent);
    int skill_fd = open(job->skill_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int work_fd = open(work, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(skill_link, sizeof skill_link, "/proc/self/fd/%d", skill_fd);
    snprintf(work_link, sizeof work_link, "/proc/self/fd/%d", work_fd);
    bool apart = mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
    /* unmount /sys: bubblewrap needs nothing of it, and reads the whole mount table for each mount that it
     * makes */
    if (apart && umount2("/sys", MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT)
        return false;
    return apart && skill_fd >= 0 && work_fd >= 0 &&
           mount("millrace", MOUNT_POINT, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=64k") == 0 &&
           bind_folder(skill_link, MOUNT_POINT "/skill") && bind_folder(work_link, MOUNT_POINT "/work");
}

/* True if parts of /proc are hidden by mounts over them, as container runtimes do. */
static bool proc_is_masked(void)
{
    char line[4096], place[4096];
    bool masked = false;
    FILE *table = fopen("/proc/self/mountinfo", "re");
    while (table && !masked && fgets(line, sizeof line, table))
        masked = sscanf(line, "%*d %*d %*s %*s %4095s", place) == 1 && strncmp(place, "/proc/", 6) == 0 &&
                 strcmp(place, "/proc/sys/fs/binfmt_misc") != 0;
    if (table)
        fclose(table);
    return masked || !table;
}

/* Mounts a new /proc for the guard's pid namespace. bubblewrap looks up its child in /proc by the pid that
 * the child has in that namespace. In the host's /proc that pid belongs to another process; in a container's
 * /proc it may not exist, and bubblewrap then fails. Where parts of /proc are hidden, no new /proc is
 * mounted: root would see the hidden parts in it. */
static void mount_proc(void)
{
    if (!proc_is_masked() && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0)
        (void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

struct sandbox_launch {
    const struct runner_job *job;
    const struct sandbox_child_fds *in;
    const struct runner_sandbox *box;
    const char **argv, **env;
    uid_t uid;
    gid_t gid;
};

static int exec_bwrap(void *arg)
{
    const struct sandbox_launch *l = arg;
    const struct sandbox_child_fds *in = l->in;
    const int kept[] = {
        in->control, in->note, in->filter, in->self, in->passwd, in->group, l->job->groups.workspace};
    dup2(in->in, 0);
    dup2(in->out, 1);
    dup2(in->err, 2);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        return 126;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        clear_cloexec(kept[i]);
    execve("/usr/bin/bwrap", (char **)l->argv, (char **)l->env);
    dprintf(2, "cannot run /usr/bin/bwrap: %s\n", strerror(errno));
    return 126;
}

/* The guard: process 1 of a pid namespace around bubblewrap. It is killed together with the runner, and its
 * death kills everything that bubblewrap has started. bubblewrap alone ties its child's life to its own only
 * after setting it up; a bubblewrap that was killed before that was seen to leave the child behind. Does not
 * return. */
static void guard_main(struct sandbox_launch *l)
{
    sigset_t none;
    struct pollfd control = {.fd = l->in->control, .events = POLLIN};
    signal(SIGPIPE, SIG_DFL);
    /* before change_user(), which removes the permission to write it: if memory is short, the kernel kills
     * the sandbox first */
    write_text("/proc/self/oom_score_adj", "1000");
    sched_set_middle_slices(); /* the niceness is inherited from the runner */
    if (l->job->uid && !bind_folders(l->job)) {
        dprintf(l->in->err, "cannot mount the skill's folder %s or the run's folder %s: %s\n",
                l->job->skill_dir, l->job->work_parent, strerror(errno));
        _exit(126);
    }
    if (l->job->uid)
        mount_proc(); /* before change_user(): as root the capability to mount is lost with the uid */
    if (!change_user(l->job, l->uid, l->gid)) {
        dprintf(l->in->err, "cannot change to the run's user: %s\n", strerror(errno));
        _exit(126);
    }
    if (!l->job->uid)
        mount_proc(); /* after change_user(): mounting needs the user namespace's uid map */
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after change_user(), which clears it */
    close(l->box->control_fd); /* close the inherited copies: the runner must hold the only write ends */
    if (l->box->in_fd >= 0)
        close(l->box->in_fd);
    if (poll(&control, 1, 0) != 0 || chdir("/") != 0)
        _exit(126);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    pid_t pid = runner_spawn(exec_bwrap, l), ended;
    close_range(0, ~0U, 0); /* the runner must see end of file when the command closes its output */
    do
        ended = waitpid(-1, NULL, 0);
    while (ended != pid && (ended > 0 || errno == EINTR));
    _exit(0);
}

/* Forks the guard into new pid and mount namespaces. If the caller is not root, a new user namespace gives it
 * the right to create them. */
static pid_t fork_guard(struct sandbox_launch *l)
{
    unsigned long flags = SIGCHLD | CLONE_NEWPID | CLONE_NEWNS | (l->job->uid ? 0 : CLONE_NEWUSER);
    (void)command_groups_enter(l->job->groups.starting); /* the guard stays there */
    pid_t pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, 0);
    if (pid == 0)
        guard_main(l);
    (void)command_groups_enter(l->job->groups.workspace);
    return pid;
}

static bool open_pipes(struct sandbox_child_fds *in, struct runner_sandbox *box)
{
    int p[4][2], yes = 1;
    for (int i = 0; i < 3; i++)
        if (pipe2(p[i], O_CLOEXEC) != 0)
            return false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p[3]) != 0 ||
        setsockopt(p[3][0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0)
        return false;
    in->control = p[0][0];
    box->control_fd = p[0][1];
    box->out_fd = p[1][0];
    in->out = p[1][1];
    box->err_fd = p[2][0];
    in->err = p[2][1];
    box->note_fd = p[3][0];
    in->note = p[3][1];
    /* the runner's ends only: the command's have file descriptions of their own */
    return fcntl(box->out_fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(box->err_fd, F_SETFL, O_NONBLOCK) == 0;
}

/* A cold command reads its inputs from a sealed file, a warm one its jobs from a pipe. */
static bool open_input(const struct runner_job *job, struct sandbox_child_fds *in, struct runner_sandbox *box)
{
    int p[2];
    box->in_fd = -1;
    in->in = job->warm ? -1 : sealed_file(job->stdin_text, job->stdin_bytes);
    if (!job->warm)
        return in->in >= 0;
    if (pipe2(p, O_CLOEXEC) != 0)
        return false;
    in->in = p[0];
    box->in_fd = p[1];
    return fcntl(box->in_fd, F_SETFL, O_NONBLOCK) == 0;
}

static void close_child_fds(const struct sandbox_child_fds *in)
{
    const int fds[] = {in->in,     in->out,  in->err,    in->control, in->note,
                       in->filter, in->self, in->passwd, in->group};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

enum err runner_sandbox_start(void *ctx, const struct runner_job *job, struct runner_sandbox *box_r,
                              const char **why_r)
{
    struct sandbox_child_fds in;
    if ((geteuid() == 0) != (job->uid != 0)) {
        *why_r = geteuid() == 0 ? "the runner is root, so the job must have a uid: no command runs as uid 0"
                                : "only root can run as another uid";
        return ERR_INVALID;
    }
    if (!open_pipes(&in, box_r)) {
        *why_r = "cannot open pipes: too many open files";
        return ERR_INTERNAL;
    }
    bool has_input = open_input(job, &in, box_r);
    in.passwd = sealed_file(passwd_text, sizeof passwd_text - 1);
    in.group = sealed_file(group_text, sizeof group_text - 1);
    in.self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    in.filter = job->no_seccomp ? -1 : runner_seccomp_open(job->network);
    struct sandbox_launch l = {.job = job,
                               .in = &in,
                               .box = box_r,
                               .argv = make_argv(ctx, job, &in),
                               .env = make_env(ctx, job),
                               .uid = geteuid(),
                               .gid = getegid()};
    pid_t pid = -1;
    if (!has_input || in.passwd < 0 || in.group < 0 || in.self < 0)
        *why_r = "cannot create the files or pipes for the inputs";
    else if (!job->no_seccomp && in.filter < 0)
        *why_r = "cannot create the seccomp filter";
    else if ((pid = fork_guard(&l)) < 0)
        *why_r = talloc_asprintf(ctx, "cannot create a process in new namespaces: %s", strerror(errno));
    box_r->guard = pid;
    close_child_fds(&in);
    return pid > 0 ? OK : ERR_INTERNAL;
}
