/* millrace-runner: runs one command of a skill in a sandbox, watches it, and tells what became of it.
 *
 *   millrace-runner                 the job is one line of JSON on standard input (see job.h), which stays
 * open: it is the lifeline. When it closes, its owner is dead and the whole tree dies at once; a line "stop"
 * stops the run, as SIGTERM does. millrace-runner --job FILE      the same with the job in a file, and no
 * lifeline millrace-runner --check [UID]   which pieces of the sandbox are there (check.h) millrace-runner
 * --remove DIR    removes a run's folder, whatever was built in it
 *
 * On standard output one JSON object a line:
 *   {"type":"started"}                                    the command was executed
 *   {"type":"progress","percent":40,"message":"…"}        at most four a second, the last one counts
 *   {"type":"log","text":"…"}                             likewise, at most 16 KiB each; the log is
 * run_dir/log
 *   {"type":"ended", …}                                   once, last (run.c, docs/skills.md)
 *
 * Processes: this one (the owner's user) -> bubblewrap (the slot's user) -> process 1 of the new pid
 * namespace, which is this program again (init.c) -> the command. The death of any of the first three is the
 * death of all below it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "runner/check.h"
#include "runner/init.h"
#include "runner/job.h"
#include "runner/report.h"
#include "runner/supervise.h"
#include "runner/untrusted_dir.h"
#include "json/json.h"

enum { JOB_BYTES_MAX = 16 * 1024 * 1024 };

/* Up to the first newline, or the end (`line` false: to the end); what came along behind it in `rest_r`. NULL
 * when there is nothing, or too much. */
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

static int run_job(void *ctx, const char *path)
{
    struct runner_job *job;
    const char *why = "no job", *received = "";
    size_t size = 0;
    signal(SIGPIPE, SIG_IGN);
    runner_report_open(STDOUT_FILENO);
    char *text =
        path ? read_job_file(ctx, path, &size) : read_job_text(ctx, STDIN_FILENO, true, &size, &received);
    if (!text || runner_job_parse(ctx, text, size, &job, &why) != OK)
        return refuse_job(why);
    return runner_supervise(ctx, job, path ? -1 : STDIN_FILENO, received);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--init") == 0)
        return runner_init_main(argc, argv);
    /* what the owner left open is not for us: least of all another run's lifeline */
    close_range(3, ~0U, 0);
    void *ctx = talloc_new(NULL);
    int status = 2;
    if (argc == 1 || (argc == 3 && strcmp(argv[1], "--job") == 0))
        status = run_job(ctx, argc == 3 ? argv[2] : NULL);
    else if (argc <= 3 && strcmp(argv[1], "--check") == 0)
        status = runner_check(ctx, argc == 3 ? (uid_t)strtoul(argv[2], NULL, 10) : 0);
    else if (argc == 3 && strcmp(argv[1], "--remove") == 0)
        status = untrusted_dir_remove(argv[2]) ? 0 : 1;
    else
        fprintf(stderr, "usage: millrace-runner [--job FILE | --check [UID] | --remove DIR]\n");
    talloc_free(ctx);
    return status;
}
