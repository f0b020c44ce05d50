#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/command_groups.h"

#define PRINT_GROUP                                                                                          \
    "while read -r x; do case $x in 0::*) echo \"$x\" ;; esac; done </proc/self/cgroup; exec sleep 60"

static char path[128];
static struct command_groups groups;

/* A group of version 2, whose controllers do not matter. */
static bool make_there(void)
{
    static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/cgroup.subtree_control", mounts[i]);
        if (access(path, W_OK) != 0)
            continue;
        snprintf(path, sizeof path, "%s/millrace-unit-%d", mounts[i], (int)getpid());
        if (mkdir(path, 0755) == 0) {
            groups.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            return groups.dir >= 0;
        }
    }
    return false;
}

static void open_there(void)
{
    groups.dir = -1;
    if (!make_there())
        cr_skip_test("needs a writable cgroup2");
}

static void remove_there(void)
{
    if (groups.dir >= 0)
        close(groups.dir);
    rmdir(path);
}

TestSuite(command_groups, .init = open_there, .fini = remove_there, .timeout = 60);

static bool exists(const char *name)
{
    return faccessat(groups.dir, name, F_OK, 0) == 0;
}

static bool is_populated(const char *name)
{
    char file[300], text[64] = "";
    snprintf(file, sizeof file, "%s/%s/cgroup.events", path, name);
    FILE *f = fopen(file, "re");
    cr_assert(f && fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    return !strstr(text, "populated 0");
}

/* The first line that `sh -c script` wrote, started for the workspace; *pid_r is not waited for. */
static void first_line(const char *workspace, const char *script, char *line, size_t size, pid_t *pid_r)
{
    const char *const args[] = {"-c", script, NULL};
    int out[2];
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    *pid_r = command_groups_spawn(&groups, workspace, "/bin/sh", args, -1, out[1]);
    cr_assert_gt(*pid_r, 0, "%s", strerror(errno));
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    cr_assert(fgets(line, (int)size, f));
    fclose(f);
}

static void end(pid_t pid)
{
    int status;
    kill(pid, SIGTERM);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
}

Test(command_groups, a_command_starts_in_the_group_of_its_workspace)
{
    char line[256], wanted[256];
    pid_t pid;
    first_line("01a2269d-b63b-731f-842f-a32c2ad84135", PRINT_GROUP, line, sizeof line, &pid);
    snprintf(wanted, sizeof wanted, "/millrace-unit-%d/workspace.01a2269d-b63b-731f-842f-a32c2ad84135\n",
             (int)getpid());
    cr_assert_eq(strlen(line) > strlen(wanted) ? strcmp(line + strlen(line) - strlen(wanted), wanted) : -1, 0,
                 "%s", line);
    cr_assert(command_groups_sweep(&groups), "one has a process");
    cr_assert(exists("workspace.01a2269d-b63b-731f-842f-a32c2ad84135"));
    end(pid);
    while (is_populated("workspace.01a2269d-b63b-731f-842f-a32c2ad84135")) /* the kernel has not finished */
        sched_yield();
    int held = openat(groups.dir, "workspace.01a2269d-b63b-731f-842f-a32c2ad84135", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(held, LOCK_SH), 0);
    cr_assert(command_groups_sweep(&groups), "a runner holds it, which is elsewhere for a moment");
    close(held);
    cr_assert_not(command_groups_sweep(&groups));
    cr_assert_not(exists("workspace.01a2269d-b63b-731f-842f-a32c2ad84135"));
}

/* In a child: enters the group whose file this is, as a whole process, and from there its own and `starting`.
 */
static void change_groups(const char *procs, int out)
{
    struct command_groups_own own;
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1)
        _exit(1);
    command_groups_open_own(&own);
    const int groups_of_runner[] = {own.starting, own.workspace};
    for (size_t i = 0; i < 2; i++) {
        char line[256];
        if (groups_of_runner[i] < 0 || !command_groups_enter(groups_of_runner[i]))
            _exit(2);
        FILE *f = fopen("/proc/self/cgroup", "re");
        while (f && fgets(line, sizeof line, f))
            if (strncmp(line, "0::", 3) == 0)
                dprintf(out, "%s", strrchr(line, '/'));
        if (f)
            fclose(f);
    }
    _exit(0);
}

Test(command_groups, a_runner_changes_between_its_group_and_that_of_what_starts_commands)
{
    char line[256], procs[256];
    int out[2], status;
    pid_t first;
    cr_assert_eq(mkdirat(groups.dir, "starting", 0755), 0);
    snprintf(procs, sizeof procs, "%s/starting/cgroup.type", path);
    int type = open(procs, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(write(type, "threaded", 8), 8);
    close(type);
    first_line(NULL, PRINT_GROUP, line, sizeof line, &first);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    snprintf(procs, sizeof procs, "%s/workspace.others/cgroup.procs", path);
    pid_t child = fork();
    if (child == 0)
        change_groups(procs, out[1]);
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    cr_assert(fgets(line, sizeof line, f));
    cr_assert_str_eq(line, "/starting\n");
    cr_assert(fgets(line, sizeof line, f));
    cr_assert_str_eq(line, "/workspace.others\n");
    fclose(f);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    end(first);
    while (command_groups_sweep(&groups))
        sched_yield();
    while (unlinkat(groups.dir, "starting", AT_REMOVEDIR) != 0)
        sched_yield();
}

Test(command_groups, outside_the_group_of_a_workspace_there_is_none_to_change_to)
{
    struct command_groups_own own;
    command_groups_open_own(&own);
    cr_assert(own.dir == -1 && own.workspace == -1 && own.starting == -1);
    cr_assert(command_groups_enter(own.starting), "there is nothing to do");
}

Test(command_groups, what_is_no_workspace_is_in_the_group_for_all_these)
{
    static const char *const names[] = {NULL, "", "..", "a/b", "A", "a b", "../../x"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[256];
        pid_t pid;
        first_line(names[i], PRINT_GROUP, line, sizeof line, &pid);
        cr_assert(strstr(line, "/workspace.others\n"), "%s", line);
        end(pid);
    }
    while (command_groups_sweep(&groups))
        sched_yield();
}

Test(command_groups, only_groups_of_workspaces_are_removed)
{
    cr_assert_eq(mkdirat(groups.dir, "starting", 0755), 0);
    cr_assert_eq(mkdirat(groups.dir, "workspace.x", 0755), 0);
    cr_assert_not(command_groups_sweep(&groups));
    cr_assert(exists("starting") && !exists("workspace.x"));
    unlinkat(groups.dir, "starting", AT_REMOVEDIR);
}

Test(command_groups, a_group_that_systemd_has_not_delegated_is_not_divided)
{
    struct command_groups own;
    command_groups_open(&own); /* that of this test */
    cr_assert_eq(own.dir, -1);
}
