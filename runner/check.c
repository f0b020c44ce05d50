#define _GNU_SOURCE
#include "runner/check.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "runner/report.h"
#include "runner/seccomp.h"
#include "runner/untrusted_dir.h"
#include "json/json.h"

enum { OUTPUT_MAX = 4096 };

struct sandbox_feature {
    const char *name;
    /* bubblewrap options that exercise the feature */
    const char *options[4];
    /* no job can run without it, even if the operator accepts that it is missing */
    bool fatal;
    const char *remedy;
};

#define NAMESPACES                                                                                           \
    "allow this user to create namespaces: sysctl user.max_user_namespaces above 0, "                        \
    "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container "    \
    "also "                                                                                                  \
    "a seccomp profile that allows clone, unshare, mount and pivot_root"

#define ROOT_CAPABILITIES                                                                                    \
    "as root, give the service CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID, CAP_CHOWN, CAP_DAC_OVERRIDE, "         \
    "CAP_FOWNER and CAP_KILL, or run the executor as an ordinary user, which needs none; then remove the "   \
    "other causes"

static const struct sandbox_feature features[] = {
    {"bubblewrap", {"--version"}, true, "install the package bubblewrap, which has /usr/bin/bwrap"},
    {"user_ns", {"--unshare-user"}, true, NAMESPACES},
    {"pid_ns", {"--unshare-pid", "--as-pid-1"}, true, NAMESPACES},
    {"ipc_ns", {"--unshare-ipc"}, true, NAMESPACES},
    {"uts_ns", {"--unshare-uts"}, true, NAMESPACES},
    {"proc",
     {"--unshare-pid", "--proc", "/proc"},
     true,
     "allow mounting /proc: in a container, do not mask paths below it (systempaths=unconfined)"},
    {"dev", {"--dev", "/dev"}, true, NAMESPACES},
    {"net_ns", {"--unshare-net"}, false, NAMESPACES},
    {"cgroup_ns", {"--unshare-cgroup"}, false, NAMESPACES},
};

struct check {
    uid_t uid;
    json_object *result;
};

/* --- running a command --- */

static void become(uid_t uid, int out)
{
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (uid && (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)) {
        perror("setresuid");
        _exit(126);
    }
}

/* Runs a program to its end, and keeps the beginning of what it writes, NUL-terminated. Returns the exit
 * status; -1: it could not be run, or was killed. */
static int run_captured(const char *program, char **argv, uid_t uid, char output[OUTPUT_MAX])
{
    int status = -1, out[2];
    size_t used = 0;
    output[0] = '\0';
    fflush(stdout);
    if (pipe2(out, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        become(uid, out[1]);
        execv(program, argv);
        perror(program);
        _exit(127);
    }
    close(out[1]);
    char rest[512];
    for (ssize_t n = 1; pid > 0 && n > 0;) {
        bool room = used < OUTPUT_MAX - 1;
        n = read(out[0], room ? output + used : rest, room ? OUTPUT_MAX - 1 - used : sizeof rest);
        used += room && n > 0 ? (size_t)n : 0;
    }
    output[used] = '\0';
    close(out[0]);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- results --- */

static void add_result(struct check *c, const struct sandbox_feature *f, bool available, const char *cause)
{
    json_object_object_add(json_get(c->result, "pieces"), f->name, json_object_new_boolean(available));
    if (available)
        return;
    json_object *why = json_object_new_object();
    json_object_object_add(why, "piece", json_object_new_string(f->name));
    json_object_object_add(why, "message", runner_report_text(cause, strcspn(cause, "\n")));
    json_object_object_add(why, "remedy", json_object_new_string(f->remedy));
    json_object_array_add(json_get(c->result, "causes"), why);
    json_object_array_add(json_get(c->result, f->fatal ? "fatal" : "missing"),
                          json_object_new_string(f->name));
    fprintf(stderr, "millrace-runner: %s: %.*s\n  remedy: %s\n", f->name, (int)strcspn(cause, "\n"),
            *cause ? cause : "not available", f->remedy);
}

static void try_feature(struct check *c, const struct sandbox_feature *f)
{
    const char *argv[16] = {"bwrap", "--unshare-user", "--ro-bind", "/", "/"};
    char output[OUTPUT_MAX];
    int n = 5;
    for (int i = 0; i < 4 && f->options[i]; i++)
        argv[n++] = f->options[i];
    argv[n++] = "--";
    argv[n] = "/usr/bin/true";
    bool good = run_captured("/usr/bin/bwrap", (char **)argv, c->uid, output) == 0;
    add_result(c, f, good, output);
}

static void try_seccomp(struct check *c)
{
    char number[16];
    struct sandbox_feature f = {
        "seccomp", {"--seccomp", number}, false, "use a kernel with CONFIG_SECCOMP_FILTER"};
    int fd = runner_seccomp_open(false);
    if (fd < 0) {
        add_result(c, &f, false, "the filter could not be opened");
        return;
    }
    fcntl(fd, F_SETFD, 0);
    snprintf(number, sizeof number, "%d", fd);
    try_feature(c, &f);
    close(fd);
}

/* --- a whole run: each piece may work alone and the run not, as for root without CAP_SYS_ADMIN --- */

/* The job of /usr/bin/true, in a file below `dir`. */
static bool write_job(void *ctx, const struct check *c, const char *dir)
{
    json_object *job = json_own(ctx, json_object_new_object()), *argv = json_object_new_array();
    json_object_array_add(argv, json_object_new_string("true"));
    json_object_object_add(job, "argv", argv);
    json_object_object_add(job, "skill_dir", json_object_new_string(talloc_asprintf(ctx, "%s/skill", dir)));
    json_object_object_add(job, "run_dir", json_object_new_string(talloc_asprintf(ctx, "%s/run", dir)));
    json_object_object_add(job, "timeout_ms", json_object_new_int(30000));
    json_object_object_add(job, "accept_missing", json_object_get(json_get(c->result, "missing")));
    if (c->uid)
        json_object_object_add(job, "uid", json_object_new_int64((int64_t)c->uid));
    FILE *f = fopen(talloc_asprintf(ctx, "%s/job", dir), "we");
    bool good = f && fputs(json_text(job, NULL), f) >= 0;
    return f && fclose(f) == 0 && good && mkdir(talloc_asprintf(ctx, "%s/skill", dir), 0755) == 0;
}

/* NULL: the command ran. Otherwise the reason, of ctx. */
static const char *try_job(void *ctx, const struct check *c, const char *dir)
{
    char output[OUTPUT_MAX], flag[] = "--job", name[] = "millrace-runner";
    char *argv[] = {name, flag, talloc_asprintf(ctx, "%s/job", dir), NULL};
    json_object *ended = NULL;
    const char *why;
    if (chmod(dir, 0755) != 0 || !write_job(ctx, c, dir))
        return "the folder for the run could not be written";
    int status = run_captured("/proc/self/exe", argv, 0, output);
    char *last = strstr(output, "{\"type\":\"ended\"");
    if (!last || json_parse(ctx, last, strcspn(last, "\n"), JSON_DEPTH_MAX, &ended, &why) != OK)
        return talloc_asprintf(ctx, "the runner ended with status %d and without a report: %s", status,
                               output);
    const char *reason = json_get_text(ended, "reason"), *detail = json_get_text(ended, "detail");
    if (!reason && json_object_get_int(json_get(ended, "exit_code")) == 0 && json_get(ended, "exit_code"))
        return NULL;
    return talloc_asprintf(ctx, "%s",
                           detail   ? detail
                           : reason ? reason
                                    : "the command could not be executed");
}

static void try_run(void *ctx, struct check *c)
{
    static const struct sandbox_feature f = {"run", {NULL}, true, ROOT_CAPABILITIES};
    char dir[] = "/tmp/millrace-check-XXXXXX";
    const char *why = mkdtemp(dir) ? try_job(ctx, c, dir) : "no folder could be made in /tmp";
    untrusted_dir_remove(dir);
    add_result(c, &f, !why, why ? why : "");
}

/* --- the whole --- */

/* False if the commands of jobs can run as no uid at all: then nothing else can be tried. */
static bool try_slot_uid(struct check *c)
{
    static const struct sandbox_feature unnamed = {"slot_uid",
                                                   {NULL},
                                                   true,
                                                   "as root, name the uid of a slot (the setting "
                                                   "executor.sandbox_uid_base): millrace-runner --check UID; "
                                                   "as an ordinary user, name none"};
    static const struct sandbox_feature refused = {"slot_uid", {NULL}, true, ROOT_CAPABILITIES};
    const char *argv[] = {"true", NULL};
    char output[OUTPUT_MAX];
    if ((geteuid() == 0) == (c->uid != 0)) {
        bool good = run_captured("/usr/bin/true", (char **)argv, c->uid, output) == 0;
        add_result(c, &refused, good, output);
        return good;
    }
    add_result(c, &unnamed, false,
               geteuid() == 0 ? "root needs the uid of a slot" : "only root may use another uid");
    return geteuid() == 0; /* as root, the features are tried as root */
}

int runner_check(void *ctx, uid_t uid)
{
    static const struct sandbox_feature accounting = {
        "io_accounting", {NULL}, false, "use a kernel with CONFIG_TASK_IO_ACCOUNTING"};
    struct check c = {.uid = uid, .result = json_own(ctx, json_object_new_object())};
    json_object_object_add(c.result, "pieces", json_object_new_object());
    json_object_object_add(c.result, "missing", json_object_new_array());
    json_object_object_add(c.result, "fatal", json_object_new_array());
    json_object_object_add(c.result, "causes", json_object_new_array());
    if (try_slot_uid(&c)) {
        for (size_t i = 0; i < sizeof features / sizeof *features; i++)
            try_feature(&c, &features[i]);
        try_seccomp(&c);
        add_result(&c, &accounting, access("/proc/self/io", R_OK) == 0, "/proc/self/io cannot be read");
        try_run(ctx, &c);
    }
    printf("%s\n", json_text(c.result, NULL));
    return json_object_array_length(json_get(c.result, "fatal"))     ? 4
           : json_object_array_length(json_get(c.result, "missing")) ? 3
                                                                     : 0;
}
