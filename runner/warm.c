#define _GNU_SOURCE
#include "runner/warm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/utf8.h"
#include "runner/report.h"
#include "runner/untrusted_dir.h"
#include "json/json.h"

enum {
    /* for all threads of all processes to stop: a few microseconds, longer where one waits for a disk */
    PAUSE_MS = 2000,
    /* of an error's message, and of a line that broke the protocol */
    MESSAGE_MAX = 1000,
    SHOWN_MAX = 100,
    JOB_LINE_MAX = 16 * 1024 * 1024,
};

/* --- one job --- */

enum err warm_prepare(struct supervised_run *r, const char **why_r)
{
    const struct runner_job *job = r->job;
    r->exchange =
        warm_exchange_new(r->job_ctx, job->stdin_text, job->stdin_bytes, &job->trace, job->stdout_max);
    *why_r = "the system has no random numbers";
    return r->exchange ? OK : ERR_INTERNAL;
}

void warm_send_request(struct supervised_run *r)
{
    struct warm_exchange *x = r->exchange;
    while (x->sent < x->request_bytes) {
        ssize_t n = write(r->fds[FD_STDIN].fd, x->request + x->sent, x->request_bytes - x->sent);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0)
            break;
        x->sent += (size_t)n;
    }
    /* when all is sent, an event means that the command has closed its stdin: it takes no further job */
    if (x->sent < x->request_bytes || (r->fds[FD_STDIN].revents & (POLLERR | POLLHUP)))
        supervise_close_fd(r, FD_STDIN);
    r->fds[FD_STDIN].events = 0;
}

static void store_outputs(struct supervised_run *r, const char *text, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(r->workdir.stdout_fd, text + done, size - done);
        if (n <= 0) {
            r->detail = "the command's output could not be written; the disk may be full";
            supervise_kill_run(r, "internal");
            return;
        }
        done += (size_t)n;
    }
    r->stdout_bytes = size;
}

/* The answer is here. Everything that the command does from now on is not this job's, so its processes are
 * stopped before anything else is done. */
static void end_exchange(struct supervised_run *r)
{
    r->answered = true;
    r->deadline_ms = INT64_MAX;
    if (r->job->last || r->reason || write(r->sandbox.control_fd, "P", 1) != 1)
        supervise_kill_tree(r);
    else
        r->pause_ms = supervise_now_ms() + PAUSE_MS;
}

static void reject_line(struct supervised_run *r, const char *line, size_t size)
{
    char shown[3 * SHOWN_MAX + 1];
    size_t n = utf8_sanitize(shown, line, utf8_cut(line, size, SHOWN_MAX), false);
    r->detail =
        talloc_asprintf(r->job_ctx, "a line on stdout is not the answer to the job: \"%.*s\"", (int)n, shown);
    supervise_kill_run(r, "protocol");
}

void warm_take_output(struct supervised_run *r, const char *data, size_t size)
{
    const char *text;
    size_t n;
    if (r->answered || r->reason) {
        r->exchange->extra_output = true;
        return;
    }
    switch (warm_exchange_feed(r->exchange, data, size, &text, &n)) {
    case WARM_NONE:
        return;
    case WARM_OK:
        store_outputs(r, text, n);
        end_exchange(r);
        return;
    case WARM_ERROR:
        r->error = text;
        r->error_bytes = utf8_cut(text, n, MESSAGE_MAX);
        end_exchange(r);
        return;
    case WARM_TOO_LONG:
        supervise_kill_run(r, "output_limit");
        return;
    case WARM_BROKEN:
        reject_line(r, text, n);
        return;
    }
}

/* --- between two jobs --- */

static bool has_input(const struct supervised_run *r, int which)
{
    struct pollfd p = {.fd = r->fds[which].fd, .events = POLLIN};
    return p.fd >= 0 && poll(&p, 1, 0) == 1;
}

/* What the stopped command wrote before it stopped is in the pipes, and nothing is added. */
static bool drain_pipes(struct supervised_run *r)
{
    while (has_input(r, FD_STDERR))
        supervise_read_stderr(r);
    return !has_input(r, FD_STDOUT) && r->fds[FD_STDERR].fd >= 0 && r->fds[FD_STDIN].fd >= 0;
}

/* The command has answered without having read all of the job: the rest would be taken for the next one. */
static bool has_unread_input(const struct supervised_run *r)
{
    int bytes = 0;
    return ioctl(r->fds[FD_STDIN].fd, FIONREAD, &bytes) != 0 || bytes > 0;
}

static bool is_alone(const struct supervised_run *r, const struct runner_usage *u)
{
    return u->processes == 1 && u->memory_bytes <= r->job->memory_bytes &&
           u->tasks <= r->job->processes_max && sampler_same_mounts(r->proc_fd, u->pid);
}

void warm_on_stopped(struct supervised_run *r)
{
    const char *why;
    struct runner_usage usage;
    const struct warm_exchange *x = r->exchange;
    if (!r->answered || r->reason || r->tree_dead)
        return;
    r->pause_ms = INT64_MAX;
    bool silent = drain_pipes(r) && !x->extra_output && x->sent == x->request_bytes && !has_unread_input(r);
    bool sampled = supervise_sample(r, &usage);
    if (sampler_disk_bytes(r->proc_fd, r->workdir.work_fd, &why) >
        r->job->disk_bytes + r->workdir.input_bytes) {
        r->detail = why;
        supervise_kill_run(r, "disk_limit");
    } else if (silent && sampled && is_alone(r, &usage)) {
        r->paused = true;
        r->ended_ms = supervise_now_ms();
    } else {
        supervise_kill_tree(r);
    }
}

static void reap_if_dead(struct supervised_run *r)
{
    struct signalfd_siginfo info;
    while (read(r->fds[FD_SIGNAL].fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD)
            r->owner_gone = true;
    if (waitpid(r->sandbox.guard, NULL, WNOHANG) == r->sandbox.guard) {
        r->sandbox.guard = -1;
        r->tree_dead = true;
        supervise_release_mounts(r);
    }
}

/* Takes bytes of the owner's next line. */
static void read_owner(struct supervised_run *r)
{
    size_t room = talloc_array_length(r->next_line);
    if (room < r->next_bytes + 64 * 1024)
        r->next_line = talloc_realloc(r, r->next_line, char, room = r->next_bytes + 128 * 1024);
    ssize_t n = read(r->fds[FD_OWNER].fd, r->next_line + r->next_bytes, room - r->next_bytes);
    if (n > 0)
        r->next_bytes += (size_t)n;
    else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        r->owner_gone = true;
}

bool warm_await_job(struct supervised_run *r)
{
    struct pollfd p[] = {r->fds[FD_OWNER], r->fds[FD_SIGNAL]};
    TALLOC_FREE(r->next_line);
    r->next_bytes = 0;
    while (!r->owner_gone && !r->tree_dead && p[0].fd >= 0 && r->next_bytes < JOB_LINE_MAX) {
        poll(p, 2, -1);
        if (p[1].revents)
            reap_if_dead(r);
        if (p[0].revents)
            read_owner(r);
        if (r->next_bytes > 0 && r->next_line[r->next_bytes - 1] == '\n')
            return *r->next_line == '{' && !r->tree_dead;
    }
    return false;
}

enum err warm_take_job(struct supervised_run *r, const char **why_r)
{
    struct runner_job *job;
    void *ctx = talloc_new(r);
    enum err e = runner_job_parse(ctx, r->next_line, r->next_bytes - 1, &job, why_r);
    r->next_bytes = 0; /* taken */
    if (e == OK)
        e = runner_workdir_next(ctx, job, &r->workdir, why_r);
    if (e != OK)
        return e;
    talloc_free(r->job_ctx);
    r->job_ctx = ctx;
    r->job = job;
    r->answered = r->paused = false;
    r->reason = r->detail = r->error = NULL;
    r->log = (struct stderr_log){0};
    r->peak_bytes = r->stdout_bytes = 0;
    r->written_before = r->written_bytes;
    r->disk_ms = 0;
    return warm_prepare(r, why_r);
}

void warm_resume(struct supervised_run *r)
{
    runner_report_open(STDOUT_FILENO);
    /* before the command can read anything of the job: an owner that never sees this may give the job to
     * another process */
    runner_report_send(runner_report_new("started"));
    /* what does not fit into the pipe follows when the command reads */
    r->fds[FD_STDIN].events = POLLOUT;
    r->fds[FD_STDIN].revents = 0;
    warm_send_request(r);
    if (write(r->sandbox.control_fd, "C", 1) != 1)
        supervise_kill_tree(r);
}

void warm_leave(struct supervised_run *r)
{
    char rest[256];
    if (r->sandbox.guard > 0) {
        supervise_kill_tree(r);
        waitpid(r->sandbox.guard, NULL, 0);
    }
    supervise_release_mounts(r);
    if (r->workdir.lock_fd < 0)
        return;
    /* A job for a sandbox that has died: the end without `started` lets the owner give it to another process.
     */
    bool given = r->next_bytes > 0 && *r->next_line == '{';
    while (!given && !r->owner_gone && r->fds[FD_OWNER].fd >= 0) {
        ssize_t n = read(r->fds[FD_OWNER].fd, rest, sizeof rest);
        given = n > 0 && *rest == '{';
        r->owner_gone = n == 0 || (n < 0 && errno != EINTR);
    }
    if (!untrusted_dir_remove(r->warm_dir))
        fprintf(stderr, "cannot remove %s\n", r->warm_dir);
}
