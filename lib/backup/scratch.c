#define _GNU_SOURCE
#include "backup/scratch.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "backup/program.h"
#include "base/clock.h"

enum { START_S = 600, POLL_MS = 20 };

struct scratch {
    pid_t pid;
    const char *log;
    /* with the socket and temporary files */
    char *folder, *socket;
};

static void remove_folder(struct scratch *s)
{
    unlink(s->socket);
    unlink(talloc_asprintf(s, "%s.pid", s->socket));
    rmdir(s->folder);
}

static int scratch_destroy(struct scratch *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    remove_folder(s);
    return 0;
}

static bool answers(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0;
    if (fd >= 0)
        close(fd);
    return there;
}

static bool has_ended(struct scratch *s)
{
    if (waitpid(s->pid, NULL, WNOHANG) != s->pid)
        return false;
    s->pid = -1;
    return true;
}

/* The sizes of pages and files are those with which the data were made. */
static const char *defaults_of(void *ctx, const char *datadir)
{
    const char *path = talloc_asprintf(ctx, "%s/backup-my.cnf", datadir);
    return access(path, R_OK) == 0 ? talloc_asprintf(ctx, "--defaults-file=%s", path) : "--no-defaults";
}

static pid_t start_server(void *ctx, const struct scratch *s, const char *datadir)
{
    const struct passwd *own = getpwuid(geteuid());
    const char *const argv[] = {
        "mariadbd",
        defaults_of(ctx, datadir),
        talloc_asprintf(ctx, "--user=%s", own ? own->pw_name : "mysql"),
        talloc_asprintf(ctx, "--datadir=%s", datadir),
        talloc_asprintf(ctx, "--socket=%s", s->socket),
        talloc_asprintf(ctx, "--pid-file=%s.pid", s->socket),
        talloc_asprintf(ctx, "--tmpdir=%s", s->folder),
        "--skip-networking",
        "--skip-grant-tables",
        "--skip-log-bin",
        /* A transaction that was prepared when the data were copied had not been acknowledged. The server
         * would not start with it. */
        "--tc-heuristic-recover=ROLLBACK",
        "--skip-slave-start",
        "--event-scheduler=OFF",
        "--performance-schema=OFF",
        "--innodb-buffer-pool-size=256M",
        "--innodb-buffer-pool-load-at-startup=OFF",
        "--innodb-buffer-pool-dump-at-shutdown=OFF",
        "--innodb-fast-shutdown=1",
        "--transaction-isolation=READ-COMMITTED",
        "--character-set-server=utf8mb4",
        "--max-allowed-packet=1G",
        NULL,
    };
    return program_start(argv, s->log);
}

const char *scratch_start(void *ctx, const char *datadir, const char *log, struct scratch **scratch_r)
{
    const char *tmp = getenv("TMPDIR");
    struct scratch *s = *scratch_r = talloc_zero(ctx, struct scratch);
    /* short, because the path of a socket has at most 107 bytes */
    s->folder = talloc_asprintf(s, "%s/millrace-XXXXXX", tmp && *tmp && strlen(tmp) < 64 ? tmp : "/tmp");
    s->log = talloc_strdup(s, log);
    if (!mkdtemp(s->folder)) {
        *scratch_r = NULL;
        return talloc_asprintf(ctx, "%s: %s", s->folder, strerror(errno));
    }
    s->socket = talloc_asprintf(s, "%s/s", s->folder);
    talloc_set_destructor(s, scratch_destroy);
    s->pid = start_server(s, s, datadir);
    int64_t until_ms = clock_boot_ms() + START_S * (int64_t)1000;
    while (s->pid > 0 && !answers(s->socket) && !has_ended(s) && clock_boot_ms() < until_ms)
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    if (s->pid > 0 && answers(s->socket))
        return NULL;
    TALLOC_FREE(*scratch_r);
    return program_failure(ctx, "mariadbd", log);
}

const char *scratch_socket(const struct scratch *s)
{
    return s->socket;
}

struct db *scratch_db(struct scratch *s, const char *database, unsigned timeout_s)
{
    const struct db_settings settings = {.socket = s->socket,
                                         .name = database,
                                         .user = "root",
                                         .password = "",
                                         .timeout_s = timeout_s,
                                         .repeats_lock_waits = true};
    return db_new(s, &settings);
}

const char *scratch_stop(void *ctx, struct scratch *s)
{
    int status = -1;
    kill(s->pid, SIGTERM);
    while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
        ;
    s->pid = -1;
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const char *why = ok ? NULL : program_failure(ctx, "mariadbd", s->log);
    talloc_free(s);
    return why;
}
