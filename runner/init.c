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

#include "runner/spawn.h"

static void send_note(int fd, char kind, int value)
{
    struct rusage use;
    struct runner_init_note n = {.kind = kind, .value = value};
    if (kind == 'E' && getrusage(RUSAGE_CHILDREN, &use) == 0)
        n.peak_bytes = (int64_t)use.ru_maxrss * 1024;
    if (write(fd, &n, sizeof n) != sizeof n)
        _exit(1); /* nobody is left to care */
}

static bool set_limit(int what, uint64_t value)
{
    const struct rlimit l = {value, value};
    return setrlimit(what, &l) == 0;
}

/* The runner's sampling enforces the sums; these are walls for what a single process does between two
 * samples. */
static bool set_limits(const struct runner_init_limits *l)
{
    const uint64_t mib = 1024 * 1024;
    /* private writable memory: twice the limit and room for thread stacks, so that the sum is what decides */
    return set_limit(RLIMIT_DATA, 2 * l->memory_bytes + 512 * mib) &&
           set_limit(RLIMIT_FSIZE, l->file_bytes + 64 * 1024) &&
           set_limit(RLIMIT_NPROC, l->processes_max + 2) && set_limit(RLIMIT_CORE, 0) &&
           set_limit(RLIMIT_MEMLOCK, 0) && set_limit(RLIMIT_MSGQUEUE, 0) && set_limit(RLIMIT_NOFILE, 256) &&
           set_limit(RLIMIT_SIGPENDING, 256) && set_limit(RLIMIT_RTPRIO, 0) && set_limit(RLIMIT_NICE, 0);
}

struct init_command {
    char **command;
    const struct runner_init_limits *limits;
    int error; /* of the exec: the child shares our memory */
};

static int init_exec_command(void *arg)
{
    struct init_command *s = arg;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setpgid(0, 0);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 && set_limits(s->limits))
        execvp(s->command[0], s->command);
    s->error = errno;
    return 127;
}

/* The command's pid. Whether it could be executed is known by then. */
static pid_t start_command(char **command, const struct runner_init_limits *limits, int note_fd)
{
    struct init_command s = {.command = command, .limits = limits};
    pid_t pid = runner_spawn(init_exec_command, &s);
    if (pid < 0)
        _exit(1);
    send_note(note_fd, s.error ? 'X' : 'S', s.error);
    return pid;
}

/* Reaps whoever ended; leaves the program when the command did. */
static void reap_orphans(pid_t command, int note_fd)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != command)
            continue;
        send_note(note_fd, 'E', status);
        _exit(0);
    }
}

/* Nothing that runs beside it may look into process 1, and its death is its parent's. */
static int init_prepare(int control_fd)
{
    sigset_t mask;
    struct pollfd p = {.fd = control_fd, .events = POLLIN};
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&p, 1, 0) != 0) /* the runner went away before the line above took effect */
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
    if (argc < 9)
        return 2;
    int control_fd = atoi(argv[2]), note_fd = atoi(argv[3]);
    const struct runner_init_limits limits = {strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10),
                                              (unsigned)strtoul(argv[6], NULL, 10)};
    int signal_fd = init_prepare(control_fd);
    pid_t command = start_command(argv + 8, &limits, note_fd);
    struct pollfd p[] = {{.fd = control_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    /* the command holds these now: what it closes must be seen closed */
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    for (;;) {
        struct signalfd_siginfo info;
        char command_byte;
        poll(p, 2, -1);
        while (read(signal_fd, &info, sizeof info) > 0)
            ;
        reap_orphans(command, note_fd);
        ssize_t n = read(control_fd, &command_byte, 1);
        if (n == 0)
            _exit(1);
        if (n == 1 && command_byte == 'T')
            kill(-1, SIGTERM);
    }
}
