#include "executor/run/skill/exit_verdict.h"

#include <string.h>
#include <talloc.h>

#include "json/json.h"

static struct exit_verdict verdict_by_reason(void *ctx, const char *reason, const char *detail)
{
    static const struct {
        const char *word;
        enum failure_reason reason;
        const char *error;
    } known[] = {
        {"timeout", REASON_TIMEOUT, "the run exceeded its time limit"},
        {"memory_limit", REASON_MEMORY_LIMIT, "the run exceeded its memory limit"},
        {"output_limit", REASON_OUTPUT_LIMIT, "the outputs exceed their size limit"},
        {"disk_limit", REASON_OUTPUT_LIMIT, "the run exceeded its disk limit"},
        {"process_limit", REASON_STEP_FAILED, "the run exceeded its process limit"},
        {"protocol", REASON_STEP_FAILED, "the command broke the protocol of warm skills"},
        {"stopped", REASON_STOPPED, "the run was stopped"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].word, reason) == 0)
            return (struct exit_verdict){
                known[i].reason,
                talloc_asprintf(ctx, "%s%s%s", known[i].error, detail ? ": " : "", detail ? detail : "")};
    }
    return (struct exit_verdict){REASON_INTERNAL, talloc_asprintf(ctx, "the runner failed%s%s",
                                                                  detail ? ": " : "", detail ? detail : "")};
}

struct exit_verdict exit_verdict_of(void *ctx, json_object *record)
{
    const char *reason = json_get_text(record, "reason");
    const char *detail = json_get_text(record, "detail");
    const char *error = json_get_text(record, "error");
    json_object *code = json_get(record, "exit_code"), *number = json_get(record, "signal");
    if (!record)
        return (struct exit_verdict){REASON_INTERNAL, "the runner died"};
    if (reason)
        return verdict_by_reason(ctx, reason, detail);
    if (error)
        return (struct exit_verdict){REASON_STEP_FAILED,
                                     talloc_asprintf(ctx, "the command reported an error: %s", error)};
    if (number)
        return (struct exit_verdict){
            REASON_STEP_FAILED,
            talloc_asprintf(ctx, "the command was killed by signal %d", json_object_get_int(number))};
    if (!code || json_object_get_int(code) != 0)
        return (struct exit_verdict){REASON_STEP_FAILED,
                                     talloc_asprintf(ctx, "the command ended with exit code %d%s%s",
                                                     json_object_get_int(code), detail ? ": " : "",
                                                     detail ? detail : "")};
    return (struct exit_verdict){0};
}
