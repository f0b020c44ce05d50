#include "service/reexec.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

extern char **environ;

static char program[PATH_MAX];
static struct stat running;

void reexec_note(void)
{
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    if (stat("/proc/self/exe", &running) != 0)
        program[0] = '\0';
}

bool reexec_is_due(void)
{
    struct stat s;
    return program[0] && stat(program, &s) == 0 && (s.st_dev != running.st_dev || s.st_ino != running.st_ino);
}

static int spawn_check(const char *config_path, pid_t *pid_r)
{
    char *argv[] = {program, (char *)"--config", (char *)config_path, (char *)"--check", NULL};
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int error = posix_spawnattr_init(&attributes);
    if (error)
        return error;
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    error = posix_spawn(pid_r, program, NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    return error;
}

bool reexec_is_ready(const char *config_path)
{
    pid_t pid;
    int status = -1, error = spawn_check(config_path, &pid);
    if (error) {
        log_error("reexec.check_failed", "program=%s message=\"%s\"", program, strerror(error));
        return false;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    log_error("reexec.check_failed", "program=%s status=%d signal=%d", program,
              WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return false;
}

void reexec_run(const char *config_path)
{
    char *argv[] = {program, (char *)"--config", (char *)config_path, NULL};
    log_info("reexec.started", "program=%s", program);
    execv(program, argv);
    log_error("reexec.failed", "program=%s message=\"%s\"", program, strerror(errno));
}
