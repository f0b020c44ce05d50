/* The program of a workflow in compiled form (docs/workflows.md describes the language). program_compile.h
 * makes it, program_eval.h and http_request.h evaluate it. A compiled program is immutable, owns everything
 * it needs and keeps nothing of its document; any number of threads may read and render it.
 *
 * The scope of its templates: `steps` holds {NAME: {result, status, error}} for each step that has ended
 * (program_scope_put), `execution` always holds id, workflow_id, workspace_id, parent_id, root_id,
 * created_at, tags, metadata and scheduled_for (null unless a schedule started the run); in the steps of
 * `on_failure` also failure: {step, reason, error}. */
#pragma once

#include "schema/schema.h"
#include "workflow/condition.h"
#include "workflow/template.h"

enum {
    /* of `steps` and `on_failure` together */
    PROGRAM_STEPS_MAX = 200,
    /* items of one for_each, and how many of them run at a time */
    PROGRAM_ITEMS_MAX = 10000,
    PROGRAM_CONCURRENCY_MAX = 64,
    /* bytes of the result of a step (for a for_each, of the whole array), and of the outputs */
    PROGRAM_RESULT_MAX = TEMPLATE_RESULT_MAX,
    /* levels of nesting of these: those of a value, the object of an http step or of a child around it, and
     * the array of a for_each */
    PROGRAM_RESULT_DEPTH_MAX = TEMPLATE_DEPTH_MAX + 2,
    /* bytes of all results of one run together */
    PROGRAM_RUN_MAX = 4 * 1024 * 1024,
    /* timeout of a program or a step, length of a delay */
    PROGRAM_SECONDS_MAX = 86400,
    /* timeout of a wait for a signal */
    PROGRAM_WAIT_SECONDS_MAX = 366 * 86400,
    /* bytes of the name of a signal */
    PROGRAM_SIGNAL_MAX = 64,
    /* bytes of the message of a wait */
    PROGRAM_MESSAGE_MAX = 4096,
    /* timeout of a program that sets none */
    PROGRAM_SECONDS_DEFAULT = 600,
    PROGRAM_ATTEMPTS_MAX = 10,
    /* limit of backoff_seconds, and of the delay between two attempts that is computed from it */
    PROGRAM_BACKOFF_SECONDS_MAX = 3600,
    PROGRAM_CREDITS_MAX = 1000000,
    /* bytes of the name of a step */
    PROGRAM_NAME_MAX = 64,
    /* headers of a request; also its query parameters */
    PROGRAM_HEADERS_MAX = 64,
    /* different secrets of a program: each is read from MariaDB for each request */
    PROGRAM_SECRETS_MAX = 100,
};

/* The types of steps: one row for each, from which everything that knows all types is made.
 *
 *   ROW(NAME, name, fields…)   STEP_TYPE_NAME; "name"; the fields that only this type has
 *
 * A row needs a function check_<name> (program_step.c) and a struct step_kind step_<name>
 * (executor/run/workflow/action.h): a missing one does not compile or link. Append new rows.
 * docs/architecture.md, "Add a step type", lists the other places. */
#define STEP_TYPE_ROWS(ROW)                                                                                  \
    ROW(HTTP, http, "request", "expect_status")                                                              \
    ROW(TRANSFORM, transform, "value")                                                                       \
    ROW(DELAY, delay, "seconds")                                                                             \
    ROW(FAIL, fail, "message")                                                                               \
    ROW(WORKFLOW, workflow, "workflow_id", "inputs")                                                         \
    ROW(SKILL, skill, "slug", "inputs", "model", "file_source_ids")                                          \
    ROW(WAIT, wait, "signal", "schema", "message")

#define STEP_TYPE_ENUMERATOR(NAME, name, ...) STEP_TYPE_##NAME,
enum step_type {
    STEP_TYPE_ROWS(STEP_TYPE_ENUMERATOR)
    /* the number of types */
    STEP_TYPES
};
#undef STEP_TYPE_ENUMERATOR

struct step_field {
    const char *name;
    struct json_template *value;
};

struct status_range {
    /* both inclusive */
    int from, to;
};

struct program_step {
    size_t index;
    const char *name;
    enum step_type type;
    /* "http" ... */
    const char *type_name;

    /* NULL: the step always runs */
    struct condition *condition;
    /* The condition refers to item or index: it is evaluated for each item, and an item that fails it has the
     * result null. */
    bool condition_per_item;
    /* the array to iterate over (see program_items); NULL: the step runs once */
    struct json_template *for_each;
    int concurrency;
    int max_attempts;
    /* delay before the second attempt; see program_backoff_ms */
    int64_t backoff_ms;
    /* of one attempt of one item; 0: limited only by the timeout of the run */
    int64_t timeout_ms;
    /* If the step fails, the run continues with the next step. */
    bool continue_on_error;
    /* Only with for_each: a failed item does not fail the step. The value of an item is {"result"} or
     * {"error"}, with the result that is kept beside an error, if there is one. */
    bool continue_on_item_error;

    /* --- http; http_request.h renders the request --- */
    const char *method;
    struct json_template *url;
    /* TEMPLATE_HEADER */
    struct step_field *headers;
    size_t header_count;
    /* TEMPLATE_VALUE */
    struct step_field *query;
    size_t query_count;
    /* NULL: no body */
    struct json_template *body;
    struct status_range *expect;
    size_t expect_count;

    /* --- transform --- */
    struct json_template *value;
    /* --- delay; see program_delay_ms --- */
    struct json_template *seconds;
    /* --- wait; TEMPLATE_TEXT; see program_signal_name --- */
    struct json_template *signal;
    /* NULL: any data */
    struct schema *signal_schema;
    /* --- fail, and wait (NULL: none); TEMPLATE_TEXT --- */
    struct json_template *message;

    /* --- workflow: the id of the child workflow, in lower case --- */
    const char *workflow_id;
    /* --- skill --- */
    const char *slug;
    /* workflow and skill; must render to an object; NULL: {} */
    struct json_template *inputs;
    /* skill; TEMPLATE_TEXT; NULL: the default model of the workspace */
    struct json_template *model;
    /* skill; must render to an array of strings; NULL: no files */
    struct json_template *file_source_ids;
};

struct program {
    /* NULL: any object is accepted */
    struct schema *inputs;
    /* `steps`, then `on_failure` */
    struct program_step *steps;
    size_t step_count;
    /* of `steps`; those from here on are executed only after a failure */
    size_t main_count;
    /* The names of all secrets that the requests refer to, each once. What any of these requests brings back
     * is free of all of them: a later response may repeat what an earlier request sent. */
    const char **secrets;
    size_t secrets_n;
    /* never NULL: the default is the result of the last step */
    struct json_template *outputs;
    int64_t timeout_ms;
    /* minimum price of a run in millionths of a credit; 0: the usual price */
    int64_t credits_micro;
};

/* True for 1 to PROGRAM_SIGNAL_MAX letters, digits, `_`, `-` and `.`. */
bool program_is_signal_name(const char *name, size_t size);

/* The place of a step in the document: "/steps/0", "/on_failure/0"; of ctx. */
char *program_step_pointer(void *ctx, const struct program *program, size_t index);

/* Questions of the compiler that only its caller can answer. A NULL function skips the check. */
struct program_hooks {
    bool (*skill_exists)(void *arg, const char *slug);
    void *arg;
};
