#define _GNU_SOURCE
#include "executor/io/runner_process.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "service/spawn.h"
#include "json/json.h"

enum {
    /* of one report; a runner that sends more is ended */
    LINE_MAX_BYTES = 4 * 1024 * 1024,
    /* A runner that reports nothing for so long was not started, by a process that hangs. */
    ACCEPT_MS = 5000,
    /* libevent closes a pipe at its next turn. */
    CLOSE_MS = 50,
};

/* path of millrace-runner */
static char program[4096];

struct runner_process {
    struct executor *exec;
    struct runner_process_events events;
    void *arg;
    id workspace;
    /* 0: it is no child of this process */
    pid_t pid;
    int pid_fd;
    /* index in exec->uid_slots_taken; -1: none */
    int uid_slot;
    struct event *exit_event;
    struct bufferevent *stdin_pipe, *stdout_pipe;
    /* Until its first report: the job, which a runner that has reported nothing has not begun. */
    json_object *job;
    /* Set while that is awaited from a runner that is no child. */
    struct timer accept_timer;
    /* the final report */
    json_object *record;
    /* `reaped` from the start if it is no child of this process */
    bool stdout_ended, reaped, stopped;
    /* abandoned: the directory to remove after the end */
    char *remove_dir;
    /* of a warm runner, which removes it itself unless it is killed; otherwise NULL */
    char *warm_dir;
    /* cleared when this is freed; NULL: none */
    struct runner_process **handle;
};

void runner_process_find_program(void)
{
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 32);
    program[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(program, '/');
    snprintf(slash ? slash + 1 : program, 32, "millrace-runner");
}

const char *runner_process_program(void)
{
    return program;
}

/* --- uids: one for each run, if this process is root --- */

int runner_process_uids(const struct config *config)
{
    return (int)(config->executor.max_active + 2 * config->executor.warm_idle_max);
}

static int take_uid_slot(struct executor *exec)
{
    for (int i = 0; i < runner_process_uids(exec->config); i++) {
        if (!exec->uid_slots_taken[i]) {
            exec->uid_slots_taken[i] = true;
            return i;
        }
    }
    return -1;
}

static bool set_job_uid(struct runner_process *r, json_object *job)
{
    const struct executor *exec = r->exec;
    if (geteuid() != 0)
        return true;
    if (r->uid_slot < 0)
        r->uid_slot = take_uid_slot(r->exec);
    int64_t uid = exec->config->executor.sandbox_uid_base +
                  (int64_t)exec->process_index * runner_process_uids(exec->config) + r->uid_slot;
    json_object_object_add(job, "uid", json_object_new_int64(uid));
    return r->uid_slot >= 0;
}

static void free_uid_slot(struct runner_process *r)
{
    if (r->uid_slot >= 0)
        r->exec->uid_slots_taken[r->uid_slot] = false;
    r->uid_slot = -1;
}

/* --- reports --- */

static void forget_job(struct runner_process *r)
{
    timer_clear(r->exec->timers, &r->accept_timer);
    json_object_put(r->job);
    r->job = NULL;
}

static void handle_report_line(struct runner_process *r, const char *line, size_t size)
{
    void *scratch = talloc_new(NULL);
    json_object *o = NULL;
    const char *why, *type;
    forget_job(r);
    if (json_parse_tolerant(scratch, line, size, JSON_DEPTH_MAX, &o, &why) != OK ||
        !(type = json_get_text(o, "type"))) {
        log_error("runner.protocol_error", "pid=%d", (int)r->pid);
    } else if (strcmp(type, "ended") == 0 && r->warm_dir) {
        const struct runner_process_events events = r->events;
        r->events = (struct runner_process_events){0};
        if (events.ended)
            events.ended(r->arg, o);
    } else if (strcmp(type, "ended") == 0) {
        json_object_put(r->record);
        r->record = json_object_get(o);
    } else if (r->events.started && strcmp(type, "started") == 0) {
        r->events.started(r->arg);
    } else if (r->events.progress && strcmp(type, "progress") == 0) {
        const char *message = json_get_text(o, "message");
        r->events.progress(r->arg, json_object_get_int(json_get(o, "percent")), message ? message : "");
    } else if (r->events.log && strcmp(type, "log") == 0) {
        const char *text = json_get_text(o, "text");
        r->events.log(r->arg, text ? text : "", json_object_get_int64(json_get(o, "omitted_bytes")));
    }
    talloc_free(scratch);
}

static void on_report_readable(struct bufferevent *from, void *arg)
{
    struct runner_process *r = arg;
    struct evbuffer *in = bufferevent_get_input(from);
    size_t size;
    for (char *line; (line = evbuffer_readln(in, &size, EVBUFFER_EOL_LF)); free(line))
        handle_report_line(r, line, size);
    if (evbuffer_get_length(in) > LINE_MAX_BYTES)
        runner_process_stop(r, true);
}

/* --- the end --- */

void runner_process_set_handle(struct runner_process *r, struct runner_process **handle)
{
    r->handle = handle;
}

static int runner_process_destroy(struct runner_process *r)
{
    if (r->handle)
        *r->handle = NULL;
    if (r->exit_event)
        event_free(r->exit_event);
    if (r->stdin_pipe)
        bufferevent_free(r->stdin_pipe);
    if (r->stdout_pipe)
        bufferevent_free(r->stdout_pipe);
    if (r->pid_fd >= 0)
        close(r->pid_fd);
    free_uid_slot(r);
    forget_job(r);
    json_object_put(r->record);
    return 0;
}

static bool start_as_child(struct runner_process *r);

/* As a runner that has not begun its job. */
static json_object *not_started_record(void)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("ended"));
    json_object_object_add(o, "reason", json_object_new_string("internal"));
    json_object_object_add(o, "detail", json_object_new_string("the runner could not be started"));
    json_object_object_add(o, "started", json_object_new_boolean(false));
    return o;
}

static void finish_runner(struct runner_process *r)
{
    struct executor *exec = r->exec;
    if (!r->stdout_ended || !r->reaped || (r->job && r->pid == 0 && start_as_child(r)))
        return;
    exec->active_runners--;
    free_uid_slot(r); /* before `ended`, which may start the next run */
    if (r->events.ended)
        r->events.ended(r->arg, r->record);
    if (r->remove_dir)
        run_dir_remove(exec, r->remove_dir);
    if (r->warm_dir)
        run_dir_remove(exec, r->warm_dir);
    talloc_free(r);
    exec->on_work_ended(exec);
}

static void on_runner_exit(evutil_socket_t fd, short what, void *arg)
{
    struct runner_process *r = arg;
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    event_del(r->exit_event);
    r->reaped = true;
    finish_runner(r);
}

static void on_stdout_event(struct bufferevent *from, short what, void *arg)
{
    struct runner_process *r = arg;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    on_report_readable(from, r);
    bufferevent_disable(from, EV_READ);
    r->stdout_ended = true;
    finish_runner(r);
}

static void on_stdin_event(struct bufferevent *to, short what, void *arg)
{
    (void)arg;
    /* the runner has exited; stdout reports that */
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_disable(to, EV_WRITE);
}

/* --- the start --- */

/* Whether the last request to executor.runner_socket arrived; the log tells when that changes. */
static bool is_served = true;

static void note_request(const char *path, bool served)
{
    if (served == is_served)
        return;
    is_served = served;
    if (served)
        log_info("runner.socket_answers", "socket=%s", path);
    else
        log_warn("runner.socket_failed", "socket=%s message=\"%s; the executor starts commands itself\"",
                 path, strerror(errno));
}

pid_t runner_process_spawn_child(const char *const args[], int in, int out)
{
    pid_t pid = spawn_program(program, args, in, out);
    if (pid < 0)
        log_error("runner.spawn_failed", "program=%s message=\"%s\"", program, strerror(errno));
    return pid;
}

pid_t runner_process_spawn(const struct config *config, const id *workspace, const char *const args[], int in,
                           int out)
{
    const char *path = config->executor.runner_socket, *sent[SPAWN_ARGS_MAX + 1] = {0};
    size_t n = 0;
    if (workspace) {
        sent[n++] = "--workspace";
        sent[n++] = workspace->text;
    }
    size_t first = n;
    while (args[n - first] && n < SPAWN_ARGS_MAX) {
        sent[n] = args[n - first];
        n++;
    }
    bool served = *path && !args[n - first] && spawn_request_send(path, sent, in, out);
    if (*path)
        note_request(path, served);
    return served ? 0 : runner_process_spawn_child(args, in, out);
}

static struct bufferevent *new_pipe_event(struct runner_process *r, int fd, bool reads)
{
    evutil_make_socket_nonblocking(fd);
    struct bufferevent *b = bufferevent_socket_new(r->exec->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!b) {
        close(fd);
        return NULL;
    }
    if (reads) {
        bufferevent_setcb(b, on_report_readable, NULL, on_stdout_event, r);
        bufferevent_enable(b, EV_READ);
    } else {
        bufferevent_setcb(b, NULL, NULL, on_stdin_event, r);
    }
    return b;
}

static bool watch_exit(struct runner_process *r)
{
    if (r->reaped)
        return true;
    r->pid_fd = pidfd_open(r->pid, 0);
    r->exit_event =
        r->pid_fd >= 0 ? event_new(r->exec->base, r->pid_fd, EV_READ | EV_PERSIST, on_runner_exit, r) : NULL;
    return r->exit_event && event_add(r->exit_event, NULL) == 0;
}

static bool attach_pipes(struct runner_process *r, int to, int from)
{
    r->stdin_pipe = new_pipe_event(r, to, false);
    r->stdout_pipe = new_pipe_event(r, from, true);
    return watch_exit(r) && r->stdin_pipe && r->stdout_pipe;
}

/* Nothing tells when this child ends: it ends now. */
static void end_child(pid_t pid)
{
    if (pid > 0 && kill(pid, SIGKILL) == 0)
        waitpid(pid, NULL, 0);
}

/* `as_child`: in any case. */
static bool open_and_spawn(struct runner_process *r, bool as_child)
{
    static const char *const no_args[] = {NULL};
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return false;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    r->pid = as_child ? runner_process_spawn_child(no_args, in[0], out[1])
                      : runner_process_spawn(r->exec->config, &r->workspace, no_args, in[0], out[1]);
    r->reaped = r->pid == 0; /* it is no child; its end is that of its output */
    close(in[0]);
    close(out[1]);
    if (r->pid >= 0 && attach_pipes(r, in[1], out[0]))
        return true;
    if (r->pid >= 0) { /* the destructor closes the pipes; it has no job yet */
        log_error("runner.watch_failed", "pid=%d message=\"%s\"", (int)r->pid, strerror(errno));
        end_child(r->pid);
        return false;
    }
    close(in[1]);
    close(out[0]);
    return false;
}

static void send_job(struct runner_process *r, json_object *job)
{
    size_t size;
    const char *text = json_text(job, &size);
    bufferevent_write(r->stdin_pipe, text, size);
    bufferevent_write(r->stdin_pipe, "\n", 1);
}

static void close_pipes(struct runner_process *r)
{
    if (r->stdin_pipe)
        bufferevent_free(r->stdin_pipe);
    if (r->stdout_pipe)
        bufferevent_free(r->stdout_pipe);
    r->stdin_pipe = r->stdout_pipe = NULL;
}

/* The first runner has not read the job, and never will: its standard input is closed. False: the command
 * shall not start, or cannot be started. */
static bool start_as_child(struct runner_process *r)
{
    if (r->stopped || !executor_holds_lease(r->exec))
        return false;
    timer_clear(r->exec->timers, &r->accept_timer);
    log_warn("runner.started_again", "message=\"the process at executor.runner_socket did not start it\"");
    close_pipes(r);
    if (!open_and_spawn(r, true)) {
        if (!r->warm_dir)
            r->record = not_started_record();
        return false;
    }
    r->stdout_ended = false;
    send_job(r, r->job);
    return true;
}

static bool has_unread_report(struct runner_process *r)
{
    struct pollfd p = {.fd = bufferevent_getfd(r->stdout_pipe), .events = POLLIN};
    return evbuffer_get_length(bufferevent_get_input(r->stdout_pipe)) > 0 || poll(&p, 1, 0) != 0;
}

static void on_accept_timeout(void *arg)
{
    struct runner_process *r = arg;
    if (has_unread_report(r))
        return;
    if (r->stdin_pipe) { /* first its end is closed for sure; a runner that is started now finds that */
        bufferevent_free(r->stdin_pipe);
        r->stdin_pipe = NULL;
        timer_set(r->exec->timers, &r->accept_timer, clock_boot_ms() + CLOSE_MS);
        return;
    }
    r->stdout_ended = true; /* its output no longer matters */
    finish_runner(r);
}

/* Keeps the job until the first report. */
static void await_report(struct runner_process *r, json_object *job)
{
    r->job = json_object_get(job);
    r->accept_timer = (struct timer){.fire = on_accept_timeout, .arg = r};
    if (r->pid == 0)
        timer_set(r->exec->timers, &r->accept_timer, clock_boot_ms() + ACCEPT_MS);
}

struct runner_process *runner_process_start(struct executor *exec, const id *workspace, json_object *job,
                                            const struct runner_process_events *events, void *arg)
{
    struct runner_process *r = talloc_zero(exec->process_ctx, struct runner_process);
    *r = (struct runner_process){
        .exec = exec, .events = *events, .arg = arg, .workspace = *workspace, .pid_fd = -1, .uid_slot = -1};
    talloc_set_destructor(r, runner_process_destroy);
    if (!set_job_uid(r, job) || !open_and_spawn(r, false)) {
        talloc_free(r);
        return NULL;
    }
    if (json_get_text(job, "warm_dir"))
        r->warm_dir = talloc_strdup(r, json_get_text(job, "warm_dir"));
    send_job(r, job);
    await_report(r, job);
    exec->active_runners++;
    return r;
}

void runner_process_next(struct runner_process *r, json_object *job,
                         const struct runner_process_events *events, void *arg)
{
    runner_process_set_events(r, events, arg);
    if (set_job_uid(r, job))
        send_job(r, job);
}

void runner_process_stop(struct runner_process *r, bool now)
{
    r->stopped = true;
    if (!r->stdin_pipe)
        return;
    if (!now) {
        bufferevent_write(r->stdin_pipe, "stop\n", 5);
        return;
    }
    bufferevent_free(r->stdin_pipe);
    r->stdin_pipe = NULL;
}

void runner_process_set_events(struct runner_process *r, const struct runner_process_events *events,
                               void *arg)
{
    r->events = *events;
    r->arg = arg;
}

void runner_process_abandon(struct runner_process *r, const char *run_dir)
{
    r->events = (struct runner_process_events){0};
    r->remove_dir = talloc_strdup(r, run_dir);
    runner_process_stop(r, true);
}

/* --- directories --- */

/* Removes the directory of a run whose command left no files. False: it holds other files, or an error
 * occurred. */
static bool remove_plain_run_dir(const char *run_dir)
{
    static const char *const files[] = {"log", "stdout"};
    static const char *const dirs[] = {"work/outputs", "work/inputs/materials", "work/inputs", "work",
                                       "files"};
    int fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlinkat(fd, files[i], 0);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        unlinkat(fd, dirs[i], AT_REMOVEDIR);
    close(fd);
    return rmdir(run_dir) == 0;
}

struct run_dir_removal {
    struct event *exit_event;
    int pid_fd;
};

static int run_dir_removal_destroy(struct run_dir_removal *m)
{
    if (m->exit_event)
        event_free(m->exit_event);
    if (m->pid_fd >= 0)
        close(m->pid_fd);
    return 0;
}

static void on_run_dir_removed(evutil_socket_t fd, short what, void *arg)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    if (info.si_code != CLD_EXITED || info.si_status != 0)
        log_warn("runner.remove_failed", "pid=%d", (int)info.si_pid);
    talloc_free(arg);
}

void run_dir_remove(struct executor *exec, const char *run_dir)
{
    if (remove_plain_run_dir(run_dir))
        return;
    const char *const args[] = {"--remove", run_dir, NULL};
    pid_t pid = runner_process_spawn(exec->config, NULL, args, -1, -1);
    if (pid == 0)
        return; /* it says on its standard error what it could not remove */
    struct run_dir_removal *m = talloc_zero(exec->process_ctx, struct run_dir_removal);
    talloc_set_destructor(m, run_dir_removal_destroy);
    m->pid_fd = pid > 0 ? pidfd_open(pid, 0) : -1;
    m->exit_event =
        m->pid_fd >= 0 ? event_new(exec->base, m->pid_fd, EV_READ | EV_PERSIST, on_run_dir_removed, m) : NULL;
    if (!m->exit_event || event_add(m->exit_event, NULL) != 0) {
        log_warn("runner.remove_failed", "dir=%s", run_dir);
        end_child(pid);
        talloc_free(m);
    }
}
