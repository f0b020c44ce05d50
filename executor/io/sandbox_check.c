#define _GNU_SOURCE
#include "executor/io/sandbox_check.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/io/runner_process.h"
#include "json/json.h"

enum { REPORT_MAX = 64 * 1024, CHECK_MS = 30000 };

static bool is_accepted(const char *list, const char *name)
{
    for (const char *p = list; *p;) {
        p += strspn(p, ", ");
        size_t n = strcspn(p, ", ");
        if (n == strlen(name) && memcmp(p, name, n) == 0)
            return true;
        p += n;
    }
    return false;
}

static void log_causes(const struct config *config, json_object *causes)
{
    for (size_t i = 0; causes && i < json_object_array_length(causes); i++) {
        json_object *one = json_object_array_get_idx(causes, i);
        const char *piece = json_get_text(one, "piece"), *message = json_get_text(one, "message"),
                   *remedy = json_get_text(one, "remedy");
        if (piece && message && remedy && !is_accepted(config->executor.sandbox_accept_missing, piece))
            log_warn("sandbox.unavailable", "piece=%s message=\"%s\" remedy=\"%s\"", piece, message, remedy);
    }
}

/* Returns the bytes that were read until the end, within the time. */
static size_t read_until_end(int fd, char *text, size_t size)
{
    int64_t until = clock_boot_ms() + CHECK_MS;
    size_t used = 0;
    while (used < size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - clock_boot_ms();
        ssize_t n = left > 0 && poll(&p, 1, (int)left) > 0 ? read(fd, text + used, size - used) : 0;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    return used;
}

/* What the runner writes, started as those of runs are: as a child, if the other process does not start it.
 */
static size_t read_report(const struct config *config, const char *const args[], char *text, size_t size)
{
    size_t used = 0;
    pid_t pid = 0;
    int ends[2];
    for (bool as_child = false; used == 0 && pid == 0; as_child = true) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return 0;
        pid = as_child ? runner_process_spawn_child(args, -1, ends[1])
                       : runner_process_spawn(config, NULL, args, -1, ends[1]);
        close(ends[1]);
        used = pid < 0 ? 0 : read_until_end(ends[0], text, size);
        close(ends[0]);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return used;
}

/* The process of the check. */
static void run_check(const struct config *config)
{
    void *ctx = talloc_new(NULL);
    char *report = talloc_zero_size(ctx, REPORT_MAX);
    const char *uid = talloc_asprintf(ctx, "%lld", (long long)config->executor.sandbox_uid_base);
    const char *const args[] = {"--report", geteuid() == 0 ? uid : NULL, NULL};
    json_object *o = NULL;
    const char *why;
    size_t size = read_report(config, args, report, REPORT_MAX - 1);
    if (json_parse(ctx, report, size, JSON_DEPTH_MAX, &o, &why) == OK)
        log_causes(config, json_get(o, "causes"));
    else
        log_warn("sandbox.unavailable", "piece=runner message=\"the check failed\" remedy=\"%s --check\"",
                 runner_process_program());
    talloc_free(ctx);
}

void sandbox_check_start(const struct config *config)
{
    runner_process_find_program();
    pid_t pid = fork();
    if (pid < 0)
        return;
    if (pid > 0) {
        waitpid(pid, NULL, 0);
        return;
    }
    /* a grandchild: the children of a master are its executor processes, and no others */
    if (fork() == 0)
        run_check(config);
    _exit(EXIT_SUCCESS);
}
