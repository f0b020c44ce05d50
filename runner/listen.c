#define _GNU_SOURCE
#include "runner/listen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "runner/command_groups.h"
#include "service/spawn.h"
#include "service/unix_listener.h"

/* Executors start a few commands at one time (executor/io/spawn_limiter.h); there may be 64 processes. */
enum { BACKLOG = 1024, RETRY_MS = 100 };

static struct command_groups groups;

/* `--workspace ID` before the arguments is for this process. */
static pid_t start(const char *program, const struct spawn_request *r)
{
    const char *const *args = r->args, *workspace = NULL;
    if (args[0] && args[1] && strcmp(args[0], "--workspace") == 0) {
        workspace = args[1];
        args += 2;
    }
    return command_groups_spawn(&groups, workspace, program, args, r->in, r->out);
}

static void serve(const char *program, int connection)
{
    static struct spawn_request r;
    if (!spawn_request_receive(connection, &r)) {
        if (errno != ENODATA)
            log_warn("runner.request_failed", "message=\"%s\"", strerror(errno));
        return;
    }
    pid_t pid = start(program, &r);
    if (pid < 0)
        log_error("runner.spawn_failed", "program=%s message=\"%s\"", program, strerror(errno));
    if (r.in >= 0)
        close(r.in);
    if (r.out >= 0)
        close(r.out);
}

/* Another user's executor, which is root, would get runners that cannot do what its jobs want. */
static bool is_own_user(int connection)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

static void accept_one(const char *program, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        if (is_own_user(fd))
            serve(program, fd);
        close(fd);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        log_error("runner.accept_failed", "message=\"%s\"", strerror(errno));
        poll(NULL, 0, RETRY_MS);
    }
}

/* --- the end --- */

static volatile sig_atomic_t is_ending;

static void note_end(int signal_number)
{
    (void)signal_number;
    is_ending = 1;
}

/* Process 1 of a container has no default actions: the signals would not end it. They arrive only while it
 * waits for a request, with the mask that this returns. */
static sigset_t catch_end_signals(void)
{
    const struct sigaction action = {.sa_handler = note_end};
    sigset_t ends, others;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, &others);
    sigdelset(&others, SIGTERM);
    sigdelset(&others, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return others;
}

static void end(const struct unix_listener *listener)
{
    unix_listener_unlink(listener);
    close(listener->fd); /* executors start commands themselves from now on */
    log_info("runner.stopping", "socket=%s", listener->path);
    if (getpid() == 1) /* its end would be that of all processes of the container */
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
            ;
}

static void serve_until_end(const char *program, int listener, const sigset_t *others)
{
    static const struct timespec sweep = {COMMAND_GROUPS_SWEEP_MS / 1000, 0};
    int64_t swept = clock_boot_ms();
    bool left = true;
    while (!is_ending) {
        struct pollfd p = {.fd = listener, .events = POLLIN};
        if (ppoll(&p, 1, left ? &sweep : NULL, others) > 0) {
            accept_one(program, listener);
            left = true;
        }
        if (left && clock_boot_ms() - swept >= COMMAND_GROUPS_SWEEP_MS) {
            left = command_groups_sweep(&groups);
            swept = clock_boot_ms();
        }
    }
}

int runner_listen(const char *path)
{
    struct unix_listener listener;
    static const struct rlimit none = {0, 0};
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    (void)setrlimit(RLIMIT_CORE, &none); /* inputs of runs are in the memory of runners */
    if (n < 0 || log_open("runner", NULL, LOG_LEVEL_INFO) != OK ||
        !unix_listener_open(&listener, path, 0600, BACKLOG))
        return 1;
    program[n] = '\0';
    signal(SIGCHLD, SIG_IGN); /* nobody waits for the children */
    sigset_t others = catch_end_signals();
    command_groups_open(&groups);
    log_info("runner.listening", "socket=%s", path);
    serve_until_end(program, listener.fd, &others);
    end(&listener);
    return 0;
}
