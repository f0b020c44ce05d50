#define _GNU_SOURCE
#include "runner/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "runner/artifacts.h"
#include "runner/command_groups.h"
#include "runner/init.h"
#include "runner/report.h"
#include "runner/sampler.h"
#include "runner/sandbox.h"
#include "runner/stderr_log.h"
#include "runner/supervised_run.h"
#include "runner/untrusted_dir.h"
#include "runner/warm.h"
#include "json/json.h"

enum {
    /* between two samples; in that time a process can touch some 100 MB */
    SAMPLE_MS = 50,
    /* used when half the memory limit is in use */
    SAMPLE_FAST_MS = 5,
    /* A file that is mapped, unlinked and closed appears in no count of files. The limit for the bytes ever
       written is therefore this many times the disk limit. */
    WRITTEN_FACTOR = 4,
};

int64_t supervise_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void supervise_close_fd(struct supervised_run *r, int which)
{
    if (r->fds[which].fd >= 0)
        close(r->fds[which].fd);
    r->fds[which].fd = -1;
}

/* Process 1 exits when the control pipe closes, and also when the guard or
 * bubblewrap dies; both end every process inside. */
void supervise_kill_tree(struct supervised_run *r)
{
    if (r->sandbox.control_fd >= 0)
        close(r->sandbox.control_fd);
    r->sandbox.control_fd = -1;
    r->kill_ms = r->pause_ms = INT64_MAX;
    if (r->sandbox.guard > 0)
        kill(r->sandbox.guard, SIGKILL);
}

void supervise_kill_run(struct supervised_run *r, const char *reason)
{
    if (r->tree_dead)
        return;
    if (!r->reason)
        r->reason = reason;
    supervise_kill_tree(r);
}

void supervise_terminate(struct supervised_run *r, const char *reason)
{
    if (r->reason || r->tree_dead)
        return;
    r->reason = reason;
    if (!r->started || write(r->sandbox.control_fd, "T", 1) != 1)
        supervise_kill_tree(r);
    else
        r->kill_ms = supervise_now_ms() + r->job->grace_ms;
}

/* --- input --- */

/* The word "stop" may arrive in several reads. */
static void on_owner_text(struct supervised_run *r, const char *received)
{
    static const char stop[] = "stop";
    for (; *received && stop[r->stop_matched]; received++)
        r->stop_matched = *received == stop[r->stop_matched] ? r->stop_matched + 1 : *received == stop[0];
    if (!stop[r->stop_matched])
        supervise_terminate(r, "stopped");
}

static void on_owner_input(struct supervised_run *r)
{
    char text[256];
    ssize_t n = read(r->fds[FD_OWNER].fd, text, sizeof text - 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0) {
        text[n] = '\0';
        on_owner_text(r, text);
        return;
    }
    r->owner_gone = true;
    supervise_close_fd(r, FD_OWNER);
    supervise_kill_run(r, "stopped");
}

static void hold_mounts(struct supervised_run *r)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)r->init_pid);
    r->mounts_fd = open(path, O_RDONLY | O_CLOEXEC);
}

void supervise_release_mounts(struct supervised_run *r)
{
    if (r->mounts_fd < 0)
        return;
    (void)command_groups_enter(r->groups.starting);
    close(r->mounts_fd);
    (void)command_groups_enter(r->groups.workspace);
    r->mounts_fd = -1;
}

/* The guard can be reaped only after all processes of its pid namespace have ended. */
static void reap_guard(struct supervised_run *r)
{
    if (r->sandbox.guard <= 0 || waitpid(r->sandbox.guard, NULL, WNOHANG) != r->sandbox.guard)
        return;
    r->sandbox.guard = -1;
    r->tree_dead = true;
    supervise_release_mounts(r);
    r->ended_ms = supervise_now_ms();
}

static void supervise_on_signal(struct supervised_run *r)
{
    struct signalfd_siginfo info;
    while (read(r->fds[FD_SIGNAL].fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap_guard(r);
        else
            supervise_terminate(r, "stopped");
    }
}

/* Receives a note and the sender's pid in the runner's pid namespace. */
static bool receive_note(int fd, struct runner_init_note *note_r, pid_t *sender_r)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec data = {note_r, sizeof *note_r};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct ucred who;
    if (recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != sizeof *note_r)
        return false;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_CREDENTIALS)
        return false;
    memcpy(&who, CMSG_DATA(c), sizeof who);
    *sender_r = who.pid;
    return true;
}

static void on_init_note(struct supervised_run *r)
{
    struct runner_init_note note;
    if (!receive_note(r->fds[FD_NOTE].fd, &note, &r->init_pid)) {
        supervise_close_fd(r, FD_NOTE);
        return;
    }
    if (note.kind == 'S') {
        r->started = true;
        hold_mounts(r);
        runner_report_send(runner_report_new("started"));
        if (r->job->warm)
            r->fds[FD_STDIN].events = POLLOUT;
    } else if (note.kind == 'X') {
        r->started = true;
        r->exec_errno = note.value;
    } else if (note.kind == 'E') {
        r->end_reported = true;
        r->wait_status = note.value;
        if (note.peak_bytes > 0 && (uint64_t)note.peak_bytes > r->peak_bytes)
            r->peak_bytes = (uint64_t)note.peak_bytes;
    } else if (note.kind == 'P') {
        warm_on_stopped(r);
    }
}

static void on_stdout(struct supervised_run *r)
{
    char buf[64 * 1024];
    ssize_t n = read(r->fds[FD_STDOUT].fd, buf, sizeof buf);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        supervise_close_fd(r, FD_STDOUT);
        return;
    }
    if (r->job->warm) {
        warm_take_output(r, buf, (size_t)n);
        return;
    }
    uint64_t room = r->job->stdout_max - r->stdout_bytes;
    size_t kept = (uint64_t)n < room ? (size_t)n : (size_t)room;
    for (size_t done = 0; done < kept;) {
        ssize_t w = write(r->workdir.stdout_fd, buf + done, kept - done);
        if (w <= 0) {
            r->detail = "the command's output could not be written; the disk may be full";
            supervise_kill_run(r, "internal");
            break;
        }
        done += (size_t)w;
    }
    r->stdout_bytes += kept;
    if (kept < (size_t)n)
        supervise_kill_run(r, "output_limit");
}

void supervise_read_stderr(struct supervised_run *r)
{
    char buf[64 * 1024];
    ssize_t n = read(r->fds[FD_STDERR].fd, buf, sizeof buf);
    if (n < 0 && errno == EAGAIN) /* warm_on_stopped has emptied the pipe since poll() */
        return;
    if (n <= 0) {
        supervise_close_fd(r, FD_STDERR);
        return;
    }
    size_t used = strlen(r->setup_error), room = sizeof r->setup_error - 1 - used;
    if (!r->started)
        memcpy(r->setup_error + used, buf, (size_t)n < room ? (size_t)n : room);
    stderr_log_feed(&r->log, buf, (size_t)n);
}

/* --- sampling --- */

/* Samples the disk use. Counting files costs more than counting processes, so it may take at most a twentieth
 * of the time, but the next count begins at most a second after the end of this one. */
static void sample_disk(struct supervised_run *r, int64_t now)
{
    const char *why;
    uint64_t bytes = sampler_disk_bytes(r->proc_fd, r->workdir.work_fd, &why);
    int64_t took = supervise_now_ms() - now;
    r->disk_ms = now + (took * 20 < SAMPLE_MS ? SAMPLE_MS : took * 20 > 1000 ? 1000 + took : took * 20);
    if (!r->reason && bytes == UINT64_MAX)
        r->detail = why;
    if (bytes == UINT64_MAX || bytes > r->job->disk_bytes + r->workdir.input_bytes)
        supervise_kill_run(r, "disk_limit");
}

bool supervise_sample(struct supervised_run *r, struct runner_usage *usage_r)
{
    if (r->proc_fd < 0 && r->init_pid)
        r->proc_fd = sampler_open_proc(r->init_pid);
    if (r->proc_fd < 0 || !sampler_usage(r->proc_fd, r->job->memory_bytes, usage_r))
        return false;
    r->failed_samples = 0;
    if (usage_r->memory_bytes > r->peak_bytes)
        r->peak_bytes = usage_r->memory_bytes;
    r->written_bytes = usage_r->written_bytes;
    return true;
}

static void sample_usage(struct supervised_run *r, int64_t now)
{
    struct runner_usage u;
    r->sample_ms = now + SAMPLE_MS;
    /* process 1 and everything inside have ended, although the guard may not have been reaped yet */
    if (r->end_reported)
        return;
    if (!supervise_sample(r, &u)) {
        /* one failed sample may mean that the tree is ending; a tree that stays unreadable for more than 20
         * samples must not continue */
        if (r->proc_fd >= 0 || r->init_pid)
            r->failed_samples++;
        if (r->failed_samples > 20) {
            r->detail = "the sandbox's processes could not be sampled";
            supervise_kill_run(r, "internal");
        }
        return;
    }
    /* the count of bytes written falls when a process ends that nobody waited for */
    uint64_t written = u.written_bytes > r->written_before ? u.written_bytes - r->written_before : 0;
    if (u.memory_bytes > r->job->memory_bytes)
        supervise_kill_run(r, "memory_limit");
    else if (u.tasks > r->job->processes_max)
        supervise_kill_run(r, "process_limit");
    else if (written / WRITTEN_FACTOR > r->job->disk_bytes)
        supervise_kill_run(r, "disk_limit");
    else if (now >= r->disk_ms)
        sample_disk(r, now);
    if (u.memory_bytes > r->job->memory_bytes / 2)
        r->sample_ms = now + SAMPLE_FAST_MS;
}

static void run_timers(struct supervised_run *r)
{
    int64_t now = supervise_now_ms();
    if (r->tree_dead)
        return;
    if (now >= r->kill_ms)
        supervise_kill_tree(r);
    if (now >= r->pause_ms) /* the answer counts; the process takes no further job */
        supervise_kill_tree(r);
    if (now >= r->deadline_ms)
        supervise_terminate(r, "timeout");
    if (now >= r->sample_ms && r->started)
        sample_usage(r, now);
    else if (now >= r->sample_ms)
        r->sample_ms = now + SAMPLE_MS; /* no process to sample before the start */
}

static int wait_time_ms(const struct supervised_run *r, int64_t log_ms)
{
    int64_t now = supervise_now_ms(), next = r->tree_dead ? INT64_MAX : r->sample_ms;
    if (!r->reason && !r->tree_dead && r->deadline_ms < next)
        next = r->deadline_ms;
    if (!r->tree_dead && r->kill_ms < next)
        next = r->kill_ms;
    if (!r->tree_dead && r->pause_ms < next)
        next = r->pause_ms;
    next -= now;
    if (log_ms >= 0 && log_ms < next)
        next = log_ms;
    return next < 0 ? 0 : next > 1000 ? 1000 : (int)next + 1;
}

static void dispatch(struct supervised_run *r)
{
    static void (*const on[FD_COUNT])(struct supervised_run *) = {
        [FD_OWNER] = on_owner_input, [FD_SIGNAL] = supervise_on_signal,   [FD_NOTE] = on_init_note,
        [FD_STDOUT] = on_stdout,     [FD_STDERR] = supervise_read_stderr, [FD_STDIN] = warm_send_request,
    };
    for (int i = 0; i < FD_COUNT; i++)
        if (r->fds[i].fd >= 0 && r->fds[i].revents)
            on[i](r);
}

/* Runs until all processes of the run have ended, or are stopped and may take another job, and all their
 * output has been read. */
static void supervise_loop(struct supervised_run *r)
{
    while (!r->paused && (!r->tree_dead || r->fds[FD_STDOUT].fd >= 0 || r->fds[FD_STDERR].fd >= 0 ||
                          r->fds[FD_NOTE].fd >= 0)) {
        int64_t log_ms = stderr_log_send(&r->log, supervise_now_ms(), false);
        poll(r->fds, FD_COUNT, wait_time_ms(r, log_ms));
        dispatch(r);
        run_timers(r);
    }
    stderr_log_end(&r->log);
    stderr_log_send(&r->log, supervise_now_ms(), true);
}

/* --- report --- */

static const char *final_reason(struct supervised_run *r)
{
    if (r->reason)
        return r->reason;
    if (r->paused) /* warm_on_stopped has just compared the disk use with its limit */
        return NULL;
    /* RLIMIT_FSIZE lets a file exceed the limit slightly (init.c): a command that then exits because of EFBIG
     * is reported as over the disk limit too */
    const char *why = NULL;
    uint64_t used = r->started ? untrusted_dir_usage(r->workdir.work_fd, &why) : 0;
    if (used == UINT64_MAX)
        r->detail = why;
    if (used > r->job->disk_bytes + r->workdir.input_bytes)
        return "disk_limit";
    if (r->answered)
        return NULL;
    if (r->job->warm && r->end_reported && WIFEXITED(r->wait_status) && WEXITSTATUS(r->wait_status) == 0) {
        r->detail = "the command ended without an answer";
        return "protocol";
    }
    if (r->end_reported)
        return NULL;
    r->detail = r->started        ? "the sandbox was killed from outside; the machine may be out of memory"
                : *r->setup_error ? r->setup_error
                                  : "the sandbox could not be set up";
    return "internal";
}

static void record_add_text(json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? runner_report_text(text, strlen(text)) : NULL);
}

static json_object *ended_record(struct supervised_run *r, const char *reason)
{
    json_object *o = runner_report_new("ended");
    /* an answer counts as exit code 0, whatever became of the process afterwards */
    int status = r->answered ? 0 : r->wait_status;
    bool ended = r->end_reported || r->answered;
    bool exited = ended && WIFEXITED(status), signaled = ended && WIFSIGNALED(status);
    if (r->exec_errno && !reason)
        r->detail = strerror(r->exec_errno);
    record_add_text(o, "reason", reason);
    record_add_text(o, "detail", r->detail);
    json_object_object_add(o, "exit_code", exited ? json_object_new_int(WEXITSTATUS(status)) : NULL);
    json_object_object_add(o, "signal",
                           signaled               ? json_object_new_int(WTERMSIG(status))
                           : r->started && !ended ? json_object_new_int(SIGKILL)
                                                  : NULL);
    json_object_object_add(o, "started", json_object_new_boolean(r->started && !r->exec_errno));
    json_object_object_add(o, "wallclock_ms", json_object_new_int64(r->ended_ms - r->started_ms));
    json_object_object_add(o, "peak_memory_bytes", json_object_new_int64((int64_t)r->peak_bytes));
    json_object_object_add(o, "stdout_bytes", json_object_new_int64((int64_t)r->stdout_bytes));
    json_object_object_add(o, "log_bytes", json_object_new_int64((int64_t)r->log.kept_bytes));
    json_object_object_add(o, "log_truncated", json_object_new_boolean(r->log.truncated));
    if (r->error)
        json_object_object_add(o, "error", runner_report_text(r->error, r->error_bytes));
    if (r->job->warm)
        json_object_object_add(o, "reusable", json_object_new_boolean(r->paused));
    return o;
}

static int report_end(struct supervised_run *r)
{
    const char *reason = final_reason(r);
    json_object *ended = ended_record(r, reason);
    struct runner_artifacts found = {0};
    /* a process that takes another job still owns its working directory */
    untrusted_dir_take_ownership(r->paused ? r->workdir.outputs_fd : r->workdir.work_fd);
    if (!reason && !r->exec_errno) {
        runner_artifacts_collect(r->job, r->workdir.outputs_fd, r->job->disk_bytes, &found);
    } else {
        found = (struct runner_artifacts){json_object_new_array(), json_object_new_array(),
                                          json_object_new_object()};
    }
    r->has_artifacts = json_object_array_length(found.kept) > 0;
    json_object_object_add(ended, "artifacts", found.kept);
    json_object_object_add(ended, "artifacts_refused", found.refused);
    json_object_object_add(ended, "artifacts_refused_reasons", found.reasons);
    return runner_report_send_last(ended) ? 0 : 1;
}

static int report_failure(const char *detail)
{
    json_object *o = runner_report_new("ended");
    record_add_text(o, "reason", "internal");
    record_add_text(o, "detail", detail);
    json_object_object_add(o, "started", json_object_new_boolean(false));
    return runner_report_send_last(o) ? 0 : 1;
}

static int open_signal_fd(void)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What the beginning of a job sets, of the first one and of a later one. */
static void begin_job(struct supervised_run *r)
{
    r->started_ms = supervise_now_ms();
    r->log.fd = r->workdir.log_fd;
    r->log.max_bytes = r->job->log_max;
    r->deadline_ms = r->started_ms + r->job->timeout_ms;
    r->sample_ms = r->started_ms + SAMPLE_MS / 2;
    r->kill_ms = r->pause_ms = INT64_MAX;
}

static void watch_sandbox(struct supervised_run *r, int owner_fd, int signal_fd)
{
    const int fds[FD_COUNT] = {owner_fd,          signal_fd,         r->sandbox.note_fd,
                               r->sandbox.out_fd, r->sandbox.err_fd, r->sandbox.in_fd};
    for (int i = 0; i < FD_COUNT; i++)
        r->fds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    r->fds[FD_STDIN].events = 0; /* until the command was executed */
}

/* Takes jobs to the sandbox until it ends or the owner does. */
static int supervise_jobs(struct supervised_run *r)
{
    const char *why = NULL;
    for (;;) {
        supervise_loop(r);
        if (r->owner_gone)
            return 1;
        int status = report_end(r);
        if (!r->paused)
            return status;
        if (!r->has_artifacts) /* otherwise the owner reads them until it gives the next job */
            runner_workdir_clear(r->job, &r->workdir);
        if (!warm_await_job(r))
            return status;
        if (warm_take_job(r, &why) != OK)
            return report_failure(why);
        begin_job(r);
        warm_resume(r);
    }
}

int runner_supervise(void *ctx, const struct runner_job *job, int owner_fd, const char *received)
{
    struct supervised_run *r = talloc_zero(ctx, struct supervised_run);
    const char *why = NULL;
    r->job = job;
    r->job_ctx = talloc_new(r);
    r->warm_dir = job->work_parent;
    r->proc_fd = r->mounts_fd = -1;
    r->groups = job->groups;
    int signal_fd = open_signal_fd();
    if (runner_workdir_make(ctx, job, &r->workdir, &why) != OK || (job->warm && warm_prepare(r, &why) != OK))
        return report_failure(why);
    begin_job(r);
    if (runner_sandbox_start(ctx, job, &r->sandbox, &why) != OK)
        return report_failure(why);
    watch_sandbox(r, owner_fd, signal_fd);
    on_owner_text(r, received);
    int status = supervise_jobs(r);
    warm_leave(r);
    return status;
}
