/* millrace-runner: runs one command of a skill in a sandbox, enforces its limits, and reports how it ended.
 *
 *   millrace-runner                 reads the job as one line of JSON from standard input (job.h)
 *   millrace-runner --job FILE      reads the job from a file
 *   millrace-runner --check [UID]   reports which sandbox features are available (check.h)
 *   millrace-runner --report [UID]  the same without the texts for people, on standard error
 *   millrace-runner --remove DIR    removes a run's folder, whatever the run created in it
 *   millrace-runner --listen PATH   starts runners for executors that connect to a Unix socket (listen.h)
 *
 * Standard input stays open while the job runs: it is the lifeline. When it closes, the executor is dead
 * and all processes of the run are killed at once. The line "stop" stops the run, as SIGTERM does. With
 * --job there is no lifeline.
 *
 * Standard output gets one JSON object a line:
 *   {"type":"accepted"}                               the job was read: first, once, without --job
 *   {"type":"started"}                                the command was executed
 *   {"type":"progress","percent":40,"message":"…"}    at most four a second: the newest
 *   {"type":"log","text":"…","omitted_bytes":n}       at most four a second, at most 16 KiB each
 *   {"type":"ended", …}                               exactly one, the last line (docs/skills.md)
 * The complete log is the file run_dir/log.
 *
 * Processes: this one (the executor's user) -> the guard and bubblewrap (the slot's user) -> process 1 of
 * the sandbox's pid namespace, which is this program again (init.c) -> the command. If one of the first
 * three dies, everything below it is killed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/sched.h"
#include "runner/check.h"
#include "runner/command_groups.h"
#include "runner/init.h"
#include "runner/job.h"
#include "runner/listen.h"
#include "runner/report.h"
#include "runner/supervise.h"
#include "runner/untrusted_dir.h"
#include "json/json.h"

enum { JOB_BYTES_MAX = 16 * 1024 * 1024 };

/* Reads up to the first newline (`line`) or to the end of file. *rest_r receives the bytes after the newline.
 * NULL if there is nothing, too much (JOB_BYTES_MAX), or a read fails. */
static char *read_job_text(void *ctx, int fd, bool line, size_t *size_r, const char **rest_r)
{
    size_t room = 64 * 1024, used = 0;
    char *text = talloc_array(ctx, char, room);
    for (;;) {
        if (used == room) {
            if (room >= JOB_BYTES_MAX)
                return NULL;
            text = talloc_realloc(ctx, text, char, room *= 2);
        }
        ssize_t n = read(fd, text + used, room - used);
        if (n < 0)
            return NULL;
        const char *nl = n && line ? memchr(text + used, '\n', (size_t)n) : NULL;
        used += (size_t)n;
        if (n == 0 || nl) {
            *size_r = nl ? (size_t)(nl - text) : used;
            *rest_r = nl ? talloc_strndup(ctx, nl + 1, used - *size_r - 1) : "";
            return *size_r ? text : NULL;
        }
    }
}

static int refuse_job(const char *why)
{
    json_object *o = runner_report_new("ended");
    json_object_object_add(o, "reason", json_object_new_string("internal"));
    json_object_object_add(o, "detail", runner_report_text(why, strlen(why)));
    json_object_object_add(o, "started", json_object_new_boolean(false));
    runner_report_send_last(o);
    return 2;
}

static char *read_job_file(void *ctx, const char *path, size_t *size_r)
{
    const char *rest;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? read_job_text(ctx, fd, false, size_r, &rest) : NULL;
    if (fd >= 0)
        close(fd);
    return text;
}

/* False: the executor is dead, or has given the job to another runner, as it may until it reads this report.
 * Whoever closes this standard input before it looks for the report learns the truth: if the input is open
 * after the report was sent, the report is there. */
static bool accept_job(void)
{
    struct pollfd owner = {.fd = STDIN_FILENO, .events = POLLIN};
    if (!runner_report_send(runner_report_new("accepted")))
        return false;
    return poll(&owner, 1, 0) >= 0 && !(owner.revents & (POLLHUP | POLLERR));
}

static int run_job(void *ctx, const char *path)
{
    struct runner_job *job;
    const char *why = "no job was received, or it is too large", *received = "";
    size_t size = 0;
    signal(SIGPIPE, SIG_IGN);
    runner_report_open(STDOUT_FILENO);
    char *text =
        path ? read_job_file(ctx, path, &size) : read_job_text(ctx, STDIN_FILENO, true, &size, &received);
    if (!text || runner_job_parse(ctx, text, size, &job, &why) != OK)
        return refuse_job(why);
    job->last |= path != NULL; /* nobody could send another one */
    if (!path && !accept_job())
        return 1;
    /* The command, and what it costs to supervise it, must not delay the executor. Not before that report: a
     * runner that waits for its turn behind other commands would count as one that nobody started. */
    command_groups_open_own(&job->groups);
    if (job->groups.workspace < 0)
        sched_run_behind();
    return runner_supervise(ctx, job, path ? -1 : STDIN_FILENO, received);
}

static int check_features(void *ctx, const char *how, const char *uid)
{
    /* not freopen: what a child of the check writes must not stay in a buffer */
    int nowhere = strcmp(how, "--report") == 0 ? open("/dev/null", O_WRONLY | O_CLOEXEC) : STDERR_FILENO;
    if (nowhere < 0 || dup2(nowhere, STDERR_FILENO) < 0)
        return 1;
    return runner_check(ctx, (uid_t)strtoul(uid, NULL, 10));
}

static int remove_folder(const char *path)
{
    if (untrusted_dir_remove(path))
        return 0;
    fprintf(stderr, "millrace-runner: %s could not be removed\n", path);
    return 1;
}

int main(int argc, char **argv)
{
    /* for a process that listens, of an older version, this program is started as the request says */
    if (argc > 2 && strcmp(argv[1], "--workspace") == 0) {
        argc -= 2;
        argv += 2;
    }
    if (argc > 1 && strcmp(argv[1], "--init") == 0)
        return runner_init_main(argc, argv);
    if (argc == 3 && strcmp(argv[1], "--listen") == 0)
        return runner_listen(argv[2]);
    /* descriptors that the executor left open must not be inherited, above all not the lifeline of another
     * run */
    close_range(3, ~0U, 0);
    void *ctx = talloc_new(NULL);
    int status = 2;
    bool is_job = argc == 1 || (argc == 3 && strcmp(argv[1], "--job") == 0);
    if (!is_job)
        sched_run_behind();
    if (is_job)
        status = run_job(ctx, argc == 3 ? argv[2] : NULL);
    else if (argc <= 3 && (strcmp(argv[1], "--check") == 0 || strcmp(argv[1], "--report") == 0))
        status = check_features(ctx, argv[1], argc == 3 ? argv[2] : "0");
    else if (argc == 3 && strcmp(argv[1], "--remove") == 0)
        status = remove_folder(argv[2]);
    else
        fprintf(stderr, "usage: millrace-runner [--job FILE | --check [UID] | --report [UID] | --remove DIR "
                        "| --listen PATH]\n");
    talloc_free(ctx);
    return status;
}
