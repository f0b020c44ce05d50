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
#include "runner/init.h"
#include "runner/report.h"
#include "runner/sampler.h"
#include "runner/sandbox.h"
#include "runner/stderr_log.h"
#include "runner/untrusted_dir.h"
#include "runner/workdir.h"
#include "json/json.h"

enum {
    LOOK_MS = 50,      /* between two samples; a process can fault in some 100 MB meanwhile */
    LOOK_CLOSE_MS = 5, /* when half the memory is used */
    /* A file that is mapped, unlinked and closed is seen by no count of files: bytes ever written bound it.
     */
    WRITTEN_FACTOR = 4,
};

enum { P_OWNER, P_SIGNAL, P_NOTE, P_OUT, P_ERR, P_COUNT };

struct run {
    const struct runner_job *job;
    struct runner_stage stage;
    struct runner_sandbox box;
    struct runner_log log;
    struct pollfd fds[P_COUNT]; /* fd -1: done with it */
    const char *reason;         /* why it was ended by us; NULL */
    const char *detail;         /* a sentence for the operator, of `stage`'s context, or NULL */
    int64_t started_ms, deadline_ms, kill_ms, look_ms, disk_ms, ended_ms;
    int proc_fd;    /* the sandbox's /proc; -1 until known */
    pid_t first;    /* its process 1 as seen from here; 0 until known */
    unsigned blind; /* looks in a row that saw nothing */
    unsigned heard; /* so many letters of "stop" */
    bool started, owner_gone, tree_dead, told_end;
    int exec_errno, wait_status;
    uint64_t peak_bytes, stdout_bytes;
    char first_error[256]; /* what bubblewrap says when it cannot set up */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void drop_fd(struct run *r, int which)
{
    if (r->fds[which].fd >= 0)
        close(r->fds[which].fd);
    r->fds[which].fd = -1;
}

/* Process 1 ends when the control pipe closes, and also when bubblewrap dies; either ends every process
 * inside. */
static void kill_now(struct run *r)
{
    if (r->box.control_fd >= 0)
        close(r->box.control_fd);
    r->box.control_fd = -1;
    r->kill_ms = INT64_MAX;
    if (r->box.guard > 0)
        kill(r->box.guard, SIGKILL);
}

static void end_hard(struct run *r, const char *reason)
{
    if (r->tree_dead)
        return;
    if (!r->reason)
        r->reason = reason;
    kill_now(r);
}

static void end_softly(struct run *r, const char *reason)
{
    if (r->reason || r->tree_dead)
        return;
    r->reason = reason;
    if (!r->started || write(r->box.control_fd, "T", 1) != 1)
        kill_now(r);
    else
        r->kill_ms = now_ms() + r->job->grace_ms;
}

/* --- what comes in
 * --------------------------------------------------------------------------------------------- */

/* The word may come in pieces. */
static void hear(struct run *r, const char *said)
{
    static const char stop[] = "stop";
    for (; *said && stop[r->heard]; said++)
        r->heard = *said == stop[r->heard] ? r->heard + 1 : *said == stop[0];
    if (!stop[r->heard])
        end_softly(r, "stopped");
}

static void on_owner(struct run *r)
{
    char text[256];
    ssize_t n = read(r->fds[P_OWNER].fd, text, sizeof text - 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0) {
        text[n] = '\0';
        hear(r, text);
        return;
    }
    r->owner_gone = true;
    drop_fd(r, P_OWNER);
    end_hard(r, "stopped");
}

/* The guard is gone only when everybody in its pid namespace is. */
static void reap(struct run *r)
{
    if (r->box.guard <= 0 || waitpid(r->box.guard, NULL, WNOHANG) != r->box.guard)
        return;
    r->box.guard = -1;
    r->tree_dead = true;
    r->ended_ms = now_ms();
}

static void on_signal(struct run *r)
{
    struct signalfd_siginfo info;
    while (read(r->fds[P_SIGNAL].fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(r);
        else
            end_softly(r, "stopped");
    }
}

/* A note and its sender's pid, as this namespace knows it. */
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

static void on_note(struct run *r)
{
    struct runner_init_note note;
    if (!receive_note(r->fds[P_NOTE].fd, &note, &r->first)) {
        drop_fd(r, P_NOTE);
        return;
    }
    if (note.kind == 'S') {
        r->started = true;
        runner_report_send(runner_report_new("started"));
    } else if (note.kind == 'X') {
        r->started = true;
        r->exec_errno = note.value;
    } else if (note.kind == 'E') {
        r->told_end = true;
        r->wait_status = note.value;
        if (note.peak_bytes > 0 && (uint64_t)note.peak_bytes > r->peak_bytes)
            r->peak_bytes = (uint64_t)note.peak_bytes;
    }
}

static void on_out(struct run *r)
{
    char buf[64 * 1024];
    ssize_t n = read(r->fds[P_OUT].fd, buf, sizeof buf);
    if (n <= 0) {
        drop_fd(r, P_OUT);
        return;
    }
    uint64_t room = r->job->stdout_max - r->stdout_bytes;
    size_t kept = (uint64_t)n < room ? (size_t)n : (size_t)room;
    for (size_t done = 0; done < kept;) {
        ssize_t w = write(r->stage.stdout_fd, buf + done, kept - done);
        if (w <= 0) {
            r->detail = "the outputs could not be kept: is the disk full?";
            end_hard(r, "internal");
            break;
        }
        done += (size_t)w;
    }
    r->stdout_bytes += kept;
    if (kept < (size_t)n)
        end_hard(r, "output_limit");
}

static void on_err(struct run *r)
{
    char buf[64 * 1024];
    ssize_t n = read(r->fds[P_ERR].fd, buf, sizeof buf);
    if (n <= 0) {
        drop_fd(r, P_ERR);
        return;
    }
    size_t used = strlen(r->first_error), room = sizeof r->first_error - 1 - used;
    if (!r->started)
        memcpy(r->first_error + used, buf, (size_t)n < room ? (size_t)n : room);
    runner_log_feed(&r->log, buf, (size_t)n);
}

/* --- watching
 * -------------------------------------------------------------------------------------------------- */

/* Counting files costs more than counting processes: it takes a twentieth of the time, but is never a second
 * late. */
static void look_at_disk(struct run *r, int64_t now)
{
    uint64_t bytes = runner_watch_disk(r->proc_fd, r->stage.work_fd);
    int64_t took = now_ms() - now;
    r->disk_ms = now + (took * 20 < LOOK_MS ? LOOK_MS : took * 20 > 1000 ? 1000 + took : took * 20);
    if (bytes == UINT64_MAX || bytes > r->job->disk_bytes + r->stage.staged_bytes)
        end_hard(r, "disk_limit");
}

static void look(struct run *r, int64_t now)
{
    struct runner_usage u;
    r->look_ms = now + LOOK_MS;
    if (r->told_end) /* process 1 has gone, and all inside with it: the guard may take its time to say so */
        return;
    if (r->proc_fd < 0 && r->first)
        r->proc_fd = runner_watch_open(r->first);
    if (r->proc_fd < 0 || !runner_watch_look(r->proc_fd, r->job->memory_bytes, &u)) {
        /* the tree may be ending this moment; a tree that cannot be seen twice in a row must not go on */
        if (r->proc_fd >= 0 || r->first)
            r->blind++;
        if (r->blind > 20) {
            r->detail = "the sandbox could not be watched";
            end_hard(r, "internal");
        }
        return;
    }
    r->blind = 0;
    if (u.memory_bytes > r->peak_bytes)
        r->peak_bytes = u.memory_bytes;
    if (u.memory_bytes > r->job->memory_bytes)
        end_hard(r, "memory_limit");
    else if (u.tasks > r->job->processes_max)
        end_hard(r, "process_limit");
    else if (u.written_bytes / WRITTEN_FACTOR > r->job->disk_bytes)
        end_hard(r, "disk_limit");
    else if (now >= r->disk_ms)
        look_at_disk(r, now);
    if (u.memory_bytes > r->job->memory_bytes / 2)
        r->look_ms = now + LOOK_CLOSE_MS;
}

static void on_time(struct run *r)
{
    int64_t now = now_ms();
    if (r->tree_dead)
        return;
    if (now >= r->kill_ms)
        kill_now(r);
    if (now >= r->deadline_ms)
        end_softly(r, "timeout");
    if (now >= r->look_ms && r->started)
        look(r, now);
    else if (now >= r->look_ms)
        r->look_ms = now + LOOK_MS; /* nothing to see before the start */
}

static int wait_time_ms(const struct run *r, int64_t log_ms)
{
    int64_t now = now_ms(), next = r->tree_dead ? INT64_MAX : r->look_ms;
    if (!r->reason && !r->tree_dead && r->deadline_ms < next)
        next = r->deadline_ms;
    if (!r->tree_dead && r->kill_ms < next)
        next = r->kill_ms;
    next -= now;
    if (log_ms >= 0 && log_ms < next)
        next = log_ms;
    return next < 0 ? 0 : next > 1000 ? 1000 : (int)next + 1;
}

static void dispatch(struct run *r)
{
    static void (*const on[P_COUNT])(struct run *) = {
        [P_OWNER] = on_owner, [P_SIGNAL] = on_signal, [P_NOTE] = on_note, [P_OUT] = on_out, [P_ERR] = on_err,
    };
    for (int i = 0; i < P_COUNT; i++)
        if (r->fds[i].fd >= 0 && r->fds[i].revents)
            on[i](r);
}

/* Until every process is dead and all they said is read. */
static void loop(struct run *r)
{
    while (!r->tree_dead || r->fds[P_OUT].fd >= 0 || r->fds[P_ERR].fd >= 0 || r->fds[P_NOTE].fd >= 0) {
        int64_t log_ms = runner_log_send(&r->log, now_ms(), false);
        poll(r->fds, P_COUNT, wait_time_ms(r, log_ms));
        dispatch(r);
        on_time(r);
    }
    runner_log_end(&r->log);
    runner_log_send(&r->log, now_ms(), true);
}

/* --- the end
 * --------------------------------------------------------------------------------------------------- */

static const char *final_reason(struct run *r)
{
    if (r->reason)
        return r->reason;
    /* a file may pass the limit by a little (init.c): who then ends by himself, on EFBIG, is told why all the
     * same */
    uint64_t used = r->started ? runner_tree_usage(r->stage.work_fd) : 0;
    if (used > r->job->disk_bytes + r->stage.staged_bytes)
        return "disk_limit";
    if (r->told_end)
        return NULL;
    r->detail = r->started        ? "the sandbox was killed from outside (is the machine out of memory?)"
                : *r->first_error ? r->first_error
                                  : "the sandbox could not be set up";
    return "internal";
}

static void add_text(json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? runner_report_text(text, strlen(text)) : NULL);
}

static json_object *ended_record(struct run *r, const char *reason)
{
    json_object *o = runner_report_new("ended");
    int status = r->wait_status;
    bool exited = r->told_end && WIFEXITED(status), signaled = r->told_end && WIFSIGNALED(status);
    if (r->exec_errno && !reason)
        r->detail = strerror(r->exec_errno);
    add_text(o, "reason", reason);
    add_text(o, "detail", r->detail);
    json_object_object_add(o, "exit_code", exited ? json_object_new_int(WEXITSTATUS(status)) : NULL);
    json_object_object_add(o, "signal",
                           signaled                     ? json_object_new_int(WTERMSIG(status))
                           : r->started && !r->told_end ? json_object_new_int(SIGKILL)
                                                        : NULL);
    json_object_object_add(o, "started", json_object_new_boolean(r->started && !r->exec_errno));
    json_object_object_add(o, "wallclock_ms", json_object_new_int64(r->ended_ms - r->started_ms));
    json_object_object_add(o, "peak_memory_bytes", json_object_new_int64((int64_t)r->peak_bytes));
    json_object_object_add(o, "stdout_bytes", json_object_new_int64((int64_t)r->stdout_bytes));
    json_object_object_add(o, "log_bytes", json_object_new_int64((int64_t)r->log.kept_bytes));
    json_object_object_add(o, "log_truncated", json_object_new_boolean(r->log.truncated));
    return o;
}

static int finish(struct run *r)
{
    const char *reason = final_reason(r);
    json_object *ended = ended_record(r, reason), *kept, *refused;
    runner_tree_take(r->stage.work_fd);
    if (!reason && !r->exec_errno) {
        runner_artifacts_collect(r->job, r->stage.outputs_fd, r->job->disk_bytes, &kept, &refused);
    } else {
        kept = json_object_new_array();
        refused = json_object_new_array();
    }
    json_object_object_add(ended, "artifacts", kept);
    json_object_object_add(ended, "artifacts_refused", refused);
    return runner_report_send_last(ended) ? 0 : 1;
}

static int report_failure(const char *detail)
{
    json_object *o = runner_report_new("ended");
    add_text(o, "reason", "internal");
    add_text(o, "detail", detail);
    json_object_object_add(o, "started", json_object_new_boolean(false));
    return runner_report_send_last(o) ? 0 : 1;
}

static int signals(void)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void prepare(struct run *r, int owner_fd, int signal_fd)
{
    const int fds[P_COUNT] = {owner_fd, signal_fd, r->box.note_fd, r->box.out_fd, r->box.err_fd};
    for (int i = 0; i < P_COUNT; i++)
        r->fds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    r->log.fd = r->stage.log_fd;
    r->log.max_bytes = r->job->log_max;
    r->deadline_ms = r->started_ms + r->job->timeout_ms;
    r->look_ms = r->started_ms + LOOK_MS / 2;
    r->kill_ms = INT64_MAX;
}

int runner_run(void *ctx, const struct runner_job *job, int owner_fd, const char *said)
{
    struct run *r = talloc_zero(ctx, struct run);
    const char *why = NULL;
    r->job = job;
    r->proc_fd = -1;
    int signal_fd = signals();
    if (runner_stage_make(ctx, job, &r->stage, &why) != OK)
        return report_failure(why);
    r->started_ms = now_ms();
    if (runner_sandbox_start(ctx, job, &r->box, &why) != OK)
        return report_failure(why);
    prepare(r, owner_fd, signal_fd);
    hear(r, said);
    loop(r);
    return r->owner_gone ? 1 : finish(r);
}
