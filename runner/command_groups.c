#define _GNU_SOURCE
#include "runner/command_groups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "service/spawn.h"

enum { PATH_BYTES = 4096, NAME_BYTES = 64 };

/* Other names are those of `starter`, the group of this process, and of systemd's `.control`. */
static const char prefix[] = "workspace.";
/* Each group of a workspace has 100. The process that starts commands computes nothing. */
#define STARTER_WEIGHT "1000"

/* --- where they are --- */

/* systemd mounts version 2 at the first path, and at the second one where version 1 has the controllers; then
 * that of the processor is missing there, unless somebody has given it back. */
static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

/* The group of this process. False: version 2 is not mounted. */
static bool find_own_group(char *path)
{
    char line[PATH_BYTES];
    FILE *f = fopen("/proc/self/cgroup", "re");
    bool found = false;
    while (!found && f && fgets(line, sizeof line, f)) { /* 0::/path; 4:cpu,cpuacct:/path is of version 1 */
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; !found && i < 2 && strncmp(line, "0::", 3) == 0; i++) {
            struct statfs fs;
            int n = snprintf(path, PATH_BYTES, "%s%s", mounts[i], line + 3);
            found = n < PATH_BYTES && statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
        }
    }
    if (f)
        fclose(f);
    return found;
}

static int open_group(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool write_file(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return ok;
}

/* systemd marks each group that a unit may divide, and sets INVOCATION_ID for what it starts. The first group
 * of a container may have the mark too, and it has processes of other programs. */
static bool is_delegated(const char *path, int dir)
{
    char value[2];
    bool delegated = getenv("INVOCATION_ID") && path[strlen(path) - 1] != '/' &&
                     fgetxattr(dir, "user.delegate", value, sizeof value) == 1 && value[0] == '1';
    if (!delegated)
        errno = EPERM;
    return delegated;
}

static bool make_group(int parent, const char *name)
{
    return mkdirat(parent, name, 0755) == 0 || errno == EEXIST;
}

/* Commands that were started without groups are here. */
static void move_earlier_commands(int dir)
{
    char pid[32];
    int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(fd, "re") : NULL;
    while (f && fgets(pid, sizeof pid, f))
        (void)write_file(dir, "workspace.earlier/cgroup.procs", pid); /* it may have ended */
    if (f)
        fclose(f);
}

/* The group may have no processes then: this one enters its own group. */
static bool share_processors(int dir)
{
    enum { TRIES = 100 }; /* commands may fork while they are moved */
    if (!make_group(dir, "starter") || !write_file(dir, "starter/cgroup.procs", "0") ||
        !make_group(dir, "workspace.earlier"))
        return false;
    for (int i = 0; i < TRIES; i++) {
        move_earlier_commands(dir);
        if (write_file(dir, "cgroup.subtree_control", "+cpu"))
            return true;
        if (errno != EBUSY)
            return false;
    }
    return false;
}

void command_groups_open(struct command_groups *g)
{
    char path[PATH_BYTES];
    *g = (struct command_groups){.dir = -1};
    errno = ENOENT;
    int dir = find_own_group(path) ? open_group(AT_FDCWD, path) : -1;
    if (dir >= 0 && is_delegated(path, dir) && share_processors(dir)) {
        (void)write_file(dir, "starter/cpu.weight", STARTER_WEIGHT);
        log_info("runner.groups", "path=%s", path);
        g->dir = dir;
        return;
    }
    log_warn(
        "runner.no_groups",
        "message=\"no control groups for workspaces, so their commands share the processors by the number "
        "of their processes: %s\"",
        strerror(errno));
    if (dir >= 0)
        close(dir);
}

/* --- a process in a group --- */

/* What is started for no workspace has a group, too: it removes files of all of them. */
static int open_workspace_group(const struct command_groups *g, const char *workspace)
{
    char name[NAME_BYTES];
    id owner;
    if (g->dir < 0)
        return -1;
    bool is_known = workspace && id_parse(workspace, strlen(workspace), &owner);
    snprintf(name, sizeof name, "%s%s", prefix, is_known ? owner.text : "others");
    int group = make_group(g->dir, name) ? open_group(g->dir, name) : -1;
    if (group < 0)
        log_warn("runner.group_failed", "group=%s message=\"%s\"", name, strerror(errno));
    return group;
}

/* The kernel makes the process in the group. To move one there, also with version 1, excludes every fork and
 * end of all processes of the host, and waits for those that are under way: that of a process among a
 * thousand others that compute held up everybody for seconds. */
static pid_t fork_into(int group)
{
    struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
    return (pid_t)syscall(SYS_clone3, &how, sizeof how);
}

pid_t command_groups_spawn(const struct command_groups *g, const char *workspace, const char *program,
                           const char *const args[], int in, int out)
{
    int group = open_workspace_group(g, workspace);
    if (group < 0)
        return spawn_program(program, args, in, out);
    pid_t pid = fork_into(group);
    if (pid == 0) {
        spawn_exec(program, args, in, out);
        log_error("runner.spawn_failed", "program=%s message=\"%s\"", program, strerror(errno));
        _exit(127);
    }
    int error = errno;
    close(group);
    errno = error;
    if (pid < 0 && errno != EAGAIN && errno != ENOMEM) {
        log_warn("runner.group_failed", "workspace=%s message=\"%s\"", workspace ? workspace : "",
                 strerror(errno));
        return spawn_program(program, args, in, out);
    }
    return pid;
}

/* --- the end --- */

bool command_groups_sweep(const struct command_groups *g)
{
    bool left = false;
    int fd = g->dir >= 0 ? open_group(g->dir, ".") : -1;
    DIR *all = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *d; all && (d = readdir(all));)
        if (strncmp(d->d_name, prefix, sizeof prefix - 1) == 0 &&
            unlinkat(g->dir, d->d_name, AT_REMOVEDIR) != 0)
            left = true;
    if (all)
        closedir(all);
    return left;
}

void command_groups_close(struct command_groups *g)
{
    if (g->dir < 0)
        return;
    (void)command_groups_sweep(g);
    (void)write_file(g->dir, "cgroup.subtree_control", "-cpu");
    close(g->dir);
    g->dir = -1;
}

void command_groups_release(void)
{
    char path[PATH_BYTES];
    if (!find_own_group(path))
        return;
    char *last = strrchr(path, '/'); /* systemd's own programs of a unit with groups are in this one */
    if (strcmp(last, "/.control") == 0)
        *last = '\0';
    int dir = open_group(AT_FDCWD, path);
    if (dir >= 0) {
        if (is_delegated(path, dir))
            (void)write_file(dir, "cgroup.subtree_control", "-cpu");
        close(dir);
    }
}
