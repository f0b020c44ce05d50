#define _GNU_SOURCE
#include "runner/check.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/seccomp.h"
#include "json/json.h"

struct sandbox_feature {
    const char *name;
    /* bubblewrap options that exercise the feature */
    const char *options[4];
    /* no job can run without it, even if the operator accepts that it is missing */
    bool fatal;
};

static const struct sandbox_feature features[] = {
    {"bubblewrap", {"--version"}, true},
    {"user_ns", {"--unshare-user"}, true},
    {"pid_ns", {"--unshare-pid", "--as-pid-1"}, true},
    {"ipc_ns", {"--unshare-ipc"}, true},
    {"uts_ns", {"--unshare-uts"}, true},
    {"proc", {"--unshare-pid", "--proc", "/proc"}, true},
    {"dev", {"--dev", "/dev"}, true},
    {"net_ns", {"--unshare-net"}, false},
    {"cgroup_ns", {"--unshare-cgroup"}, false},
};

static bool run_quietly(char **argv, uid_t uid)
{
    int status = -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        if (uid &&
            (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0))
            _exit(126);
        execv("/usr/bin/bwrap", argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool try_feature(const struct sandbox_feature *p, uid_t uid)
{
    const char *argv[16] = {"bwrap", "--unshare-user", "--ro-bind", "/", "/"};
    int n = 5;
    for (int i = 0; i < 4 && p->options[i]; i++)
        argv[n++] = p->options[i];
    argv[n++] = "--";
    argv[n] = "/usr/bin/true";
    return run_quietly((char **)argv, uid);
}

static bool try_seccomp(uid_t uid)
{
    char number[16];
    int fd = runner_seccomp_open(false);
    if (fd < 0)
        return false;
    fcntl(fd, F_SETFD, 0);
    snprintf(number, sizeof number, "%d", fd);
    struct sandbox_feature p = {"seccomp", {"--seccomp", number}, false};
    bool good = try_feature(&p, uid);
    close(fd);
    return good;
}

static void add_result(json_object *o, const char *name, bool available, bool fatal)
{
    json_object_object_add(json_get(o, "pieces"), name, json_object_new_boolean(available));
    if (!available)
        json_object_array_add(json_get(o, fatal ? "fatal" : "missing"), json_object_new_string(name));
}

int runner_check(void *ctx, uid_t uid)
{
    json_object *o = json_own(ctx, json_object_new_object());
    json_object_object_add(o, "pieces", json_object_new_object());
    json_object_object_add(o, "missing", json_object_new_array());
    json_object_object_add(o, "fatal", json_object_new_array());
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        add_result(o, features[i].name, try_feature(&features[i], uid), features[i].fatal);
    add_result(o, "seccomp", try_seccomp(uid), false);
    add_result(o, "slot_uid", (geteuid() == 0) == (uid != 0), true);
    add_result(o, "io_accounting", access("/proc/self/io", R_OK) == 0, false);
    printf("%s\n", json_text(o, NULL));
    return json_object_array_length(json_get(o, "fatal"))     ? 4
           : json_object_array_length(json_get(o, "missing")) ? 3
                                                              : 0;
}
