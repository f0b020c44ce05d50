#define _GNU_SOURCE
#include "backup/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

enum { TAIL = 600, NOT_STARTED = 127 };

/* In the child: never returns. */
static void become(const char *const *argv, int in, int out, int log, pid_t parent)
{
    const char *path = getenv("PATH");
    char longer[4096];
    snprintf(longer, sizeof longer, "%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    setenv("PATH", longer, 1);
    setenv("TZ", "UTC", 1); /* mariadb-binlog --stop-datetime */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0)
        _exit(NOT_STARTED);
    execvp(argv[0], (char *const *)argv);
    dprintf(log, "%s: %s\n", argv[0], strerror(errno));
    _exit(NOT_STARTED);
}

static pid_t spawn(const char *const *argv, int in, int out, int log)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(argv, in, out, log, parent);
    return pid;
}

static int open_log(const char *log)
{
    return open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Closes what is open. */
static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

pid_t program_start(const char *const *argv, const char *log)
{
    const int fds[] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open_log(log)};
    pid_t pid = fds[0] >= 0 && fds[1] >= 0 ? spawn(argv, fds[0], fds[1], fds[1]) : -1;
    close_all(fds, 2);
    return pid;
}

static bool ended_well(pid_t pid)
{
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const char *program_failure(void *ctx, const char *name, const char *log)
{
    char tail[TAIL + 1] = "";
    FILE *f = fopen(log, "re");
    if (f) {
        if (fseek(f, -TAIL, SEEK_END) != 0)
            rewind(f);
        tail[fread(tail, 1, TAIL, f)] = '\0';
        fclose(f);
    }
    size_t n = strlen(tail);
    while (n > 0 && tail[n - 1] == '\n')
        tail[--n] = '\0';
    return talloc_asprintf(ctx, "%s failed: %s", name, *tail ? tail : "it wrote nothing");
}

const char *program_run(void *ctx, const char *const *argv, const char *log)
{
    return ended_well(program_start(argv, log)) ? NULL : program_failure(ctx, argv[0], log);
}

const char *program_run_pair(void *ctx, const char *const *first, const char *const *second, const char *log)
{
    int fds[] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open_log(log), -1, -1};
    pid_t a = -1, b = -1;
    if (fds[0] >= 0 && fds[1] >= 0 && pipe2(fds + 2, O_CLOEXEC) == 0) {
        b = spawn(second, fds[2], fds[1], fds[1]);
        a = b > 0 ? spawn(first, fds[0], fds[3], fds[1]) : -1;
    }
    close_all(fds, 4);
    bool first_ok = ended_well(a), second_ok = ended_well(b);
    if (first_ok && second_ok)
        return NULL;
    return program_failure(ctx, second_ok ? first[0] : second[0], log);
}
