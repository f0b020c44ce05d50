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
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "service/spawn.h"

enum { PATH_BYTES = 4096, NAME_BYTES = 64 };

static const char prefix[] = "workspace.";
/* Each group of a workspace has 100. */
#define STARTING_WEIGHT "300"

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

/* Threaded groups share the processors with the processes that are in the group above them, and a thread
 * enters one by itself without excluding anybody (fork_into says what else does). */
static bool make_group(int parent, const char *name)
{
    char type[NAME_BYTES + 16];
    snprintf(type, sizeof type, "%s/cgroup.type", name);
    return (mkdirat(parent, name, 0755) == 0 || errno == EEXIST) && write_file(parent, type, "threaded");
}

/* This process enters `starting`, too. */
static bool share_processors(int dir)
{
    return make_group(dir, "starting") && write_file(dir, "cgroup.subtree_control", "+cpu") &&
           write_file(dir, "starting/cpu.weight", STARTING_WEIGHT) &&
           write_file(dir, "starting/cgroup.threads", "0");
}

void command_groups_open(struct command_groups *g)
{
    char path[PATH_BYTES];
    *g = (struct command_groups){.dir = -1};
    errno = ENOENT;
    int dir = find_own_group(path) ? open_group(AT_FDCWD, path) : -1;
    if (dir >= 0 && is_delegated(path, dir) && share_processors(dir)) {
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

static int open_named_group(int parent, const char *owner)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%s", prefix, owner);
    int group = make_group(parent, name) ? open_group(parent, name) : -1;
    if (group < 0)
        log_warn("runner.group_failed", "group=%s message=\"%s\"", name, strerror(errno));
    return group;
}

/* What is started for no workspace has a group, too: it removes files of all of them. */
static int open_workspace_group(int parent, const char *workspace)
{
    static const char others[] = "others";
    id owner;
    bool is_known = workspace && id_parse(workspace, strlen(workspace), &owner);
    int group = open_named_group(parent, is_known ? owner.text : others);
    return group < 0 && is_known ? open_named_group(parent, others) : group;
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
    if (g->dir < 0)
        return spawn_program(program, args, in, out);
    int group = open_workspace_group(g->dir, workspace);
    pid_t pid = group >= 0 ? fork_into(group) : -1;
    if (pid == 0) {
        spawn_exec(program, args, in, out);
        log_error("runner.spawn_failed", "program=%s message=\"%s\"", program, strerror(errno));
        _exit(127);
    }
    int error = errno;
    if (group >= 0)
        close(group);
    errno = error;
    return pid;
}

/* --- runners --- */

void command_groups_open_own(struct command_groups_own *own)
{
    char path[PATH_BYTES];
    *own = COMMAND_GROUPS_NONE;
    const char *last = find_own_group(path) ? strrchr(path, '/') : NULL;
    if (!last || strncmp(last + 1, prefix, sizeof prefix - 1) != 0)
        return;
    own->dir = open_group(AT_FDCWD, path);
    if (own->dir < 0 || flock(own->dir, LOCK_SH) != 0)
        return;
    own->workspace = openat(own->dir, "cgroup.threads", O_WRONLY | O_CLOEXEC);
    own->starting = openat(own->dir, "../starting/cgroup.threads", O_WRONLY | O_CLOEXEC);
}

bool command_groups_enter(int group)
{
    return group < 0 || write(group, "0", 1) == 1;
}

/* --- the end --- */

/* Not while a runner holds it: it leaves its group for a moment. */
static bool remove_group(int parent, const char *name)
{
    int dir = open_group(parent, name);
    bool removed =
        dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) == 0 && unlinkat(parent, name, AT_REMOVEDIR) == 0;
    if (dir >= 0)
        close(dir);
    return removed;
}

bool command_groups_sweep(const struct command_groups *g)
{
    bool left = false;
    int fd = g->dir >= 0 ? open_group(g->dir, ".") : -1;
    DIR *all = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *d; all && (d = readdir(all));)
        if (strncmp(d->d_name, prefix, sizeof prefix - 1) == 0 && !remove_group(g->dir, d->d_name))
            left = true;
    if (all)
        closedir(all);
    return left;
}
