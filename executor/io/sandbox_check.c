#include "executor/io/sandbox_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "executor/io/runner_process.h"
#include "json/json.h"

enum { REPORT_MAX = 64 * 1024 };

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

/* The process of the check. */
static void run_check(const struct config *config)
{
    void *ctx = talloc_new(NULL);
    char *report = talloc_zero_size(ctx, REPORT_MAX);
    char *command = geteuid() == 0
                        ? talloc_asprintf(ctx, "exec '%s' --check %lld 2>/dev/null", runner_process_program(),
                                          (long long)config->executor.sandbox_uid_base)
                        : talloc_asprintf(ctx, "exec '%s' --check 2>/dev/null", runner_process_program());
    FILE *from = popen(command, "re");
    json_object *o = NULL;
    const char *why;
    size_t size = from ? fread(report, 1, REPORT_MAX - 1, from) : 0;
    if (from)
        pclose(from);
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
