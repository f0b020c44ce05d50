#define _GNU_SOURCE
#include "runner/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sched.h"
#include "runner/command_groups.h"
#include "runner/seccomp.h"
#include "runner/spawn.h"

static void send_note(int fd, char kind, int value)
{
    struct rusage use;
    struct runner_init_note n = {.kind = kind, .value = value};
    if (kind == 'E' && getrusage(RUSAGE_CHILDREN, &use) == 0)
        n.peak_bytes = (int64_t)use.ru_maxrss * 1024;
    if (write(fd, &n, sizeof n) != sizeof n)
        _exit(1); /* the runner has closed its end: it is dead or no longer reads */
}

static bool set_limit(int what, uint64_t value)
{
    const struct rlimit l = {value, value};
    return setrlimit(what, &l) == 0;
}

/* Sets rlimits. The runner's samples enforce the limits on the sums over all processes; these rlimits bound
 * what a single process can do between two samples. */
static bool set_limits(const struct runner_init_limits *l)
{
    const uint64_t mib = 1024 * 1024;
    /* private writable memory: twice the memory limit plus room for thread stacks, so that normally the
     * sampled sum decides */
    return set_limit(RLIMIT_DATA, 2 * l->memory_bytes + 512 * mib) &&
           set_limit(RLIMIT_FSIZE, l->file_bytes + 64 * 1024) &&
           set_limit(RLIMIT_NPROC, l->processes_max + 2) && set_limit(RLIMIT_CORE, 0) &&
           set_limit(RLIMIT_MEMLOCK, 0) && set_limit(RLIMIT_MSGQUEUE, 0) && set_limit(RLIMIT_NOFILE, 256) &&
           set_limit(RLIMIT_SIGPENDING, 256) && set_limit(RLIMIT_RTPRIO, 0) && set_limit(RLIMIT_NICE, 0);
}

struct init_command {
    char **command;
    const struct runner_init_limits *limits;
    /* errno of a failed exec; 0 otherwise. The child shares this memory until it has executed the command
     * (runner_spawn). */
    int error;
    /* the command is not in its control group, and was not executed */
    bool outside;
};

static int init_exec_command(void *arg)
{
    struct init_command *s = arg;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (!command_groups_enter(s->limits->group_fd)) {
        s->outside = true;
        return 127;
    }
    sched_run_behind();
    sched_set_long_slices(true);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setpgid(0, 0);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 && set_limits(s->limits) &&
        (!s->limits->keeps_slices || runner_seccomp_keep_slices()))
        execvp(s->command[0], s->command);
    s->error = errno;
    return 127;
}

/* Starts the command and returns its pid. When this function returns, the exec has succeeded or failed, and
 * the runner has been told which. */
static pid_t start_command(char **command, const struct runner_init_limits *limits, int note_fd)
{
    struct init_command s = {.command = command, .limits = limits};
    pid_t pid = runner_spawn(init_exec_command, &s);
    if (pid < 0 || s.outside || !command_groups_enter(limits->group_fd))
        _exit(1);
    send_note(note_fd, s.error ? 'X' : 'S', s.error);
    return pid;
}

struct init_state {
    pid_t command;
    int note_fd;
    /* all threads of the command are stopped, by the runner or by its own doing */
    bool stopped;
    /* the runner wants to know when they are */
    bool pausing;
};

static void tell_paused(struct init_state *s)
{
    if (s->pausing && s->stopped) {
        s->pausing = false;
        send_note(s->note_fd, 'P', 0);
    }
}

/* Reaps every child that ended, orphans included. Exits when the command itself has ended. */
static void reap_children(struct init_state *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0;) {
        if (pid != s->command)
            continue;
        s->stopped = WIFSTOPPED(status);
        if (WIFSTOPPED(status) || WIFCONTINUED(status))
            continue;
        send_note(s->note_fd, 'E', status);
        _exit(0);
    }
    tell_paused(s);
}

static void on_runner_byte(struct init_state *s, char byte)
{
    if (byte == 'T') {
        kill(-1, SIGTERM);
    } else if (byte == 'P') {
        s->pausing = true;
        kill(-1, SIGSTOP);
        tell_paused(s);
    } else if (byte == 'C') {
        s->stopped = s->pausing = false;
        kill(-1, SIGCONT);
    }
}

/* Protects process 1: no process of the sandbox may inspect it (not dumpable), and it is killed when its
 * parent dies. Returns a signalfd for SIGCHLD. */
static int init_prepare(int control_fd)
{
    sigset_t mask;
    struct pollfd p = {.fd = control_fd, .events = POLLIN};
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&p, 1, 0) != 0) /* the runner died before PR_SET_PDEATHSIG took effect */
        _exit(1);
    sigfillset(&mask);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    fcntl(control_fd, F_SETFL, O_NONBLOCK);
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

int runner_init_main(int argc, char **argv)
{
    if (argc < 11)
        return 2;
    int control_fd = atoi(argv[2]), note_fd = atoi(argv[3]);
    const struct runner_init_limits limits = {strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10),
                                              (unsigned)strtoul(argv[6], NULL, 10), atoi(argv[7]) != 0,
                                              atoi(argv[8])};
    int signal_fd = init_prepare(control_fd);
    struct init_state state = {.command = start_command(argv + 10, &limits, note_fd), .note_fd = note_fd};
    struct pollfd p[] = {{.fd = control_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    /* only the command may hold these: the runner must see end of file when the command closes them */
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    if (limits.group_fd >= 0)
        close(limits.group_fd);
    for (;;) {
        struct signalfd_siginfo info;
        char command_byte;
        poll(p, 2, -1);
        while (read(signal_fd, &info, sizeof info) > 0)
            ;
        reap_children(&state);
        ssize_t n = read(control_fd, &command_byte, 1);
        if (n == 0)
            _exit(1);
        if (n == 1)
            on_runner_byte(&state, command_byte);
    }
}
