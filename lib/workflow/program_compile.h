/* The program of a workflow, compiled from its JSON (docs/workflows.md describes the language). Compiling
 * reports all mistakes that can be found before a run, each with its place. A compiled program is immutable,
 * owns everything it needs and keeps nothing of the document; any number of threads may read and render it.
 *
 * The scope of its templates: `steps` holds {NAME: {result, status, error}} for each step that has ended
 * (program_scope_put), `execution` always holds all members of program_execution_fields. */
#pragma once

#include "schema/schema.h"
#include "workflow/condition.h"
#include "workflow/template.h"

enum {
    PROGRAM_STEPS_MAX = 200,
    /* items of one for_each, and how many of them run at a time */
    PROGRAM_ITEMS_MAX = 10000,
    PROGRAM_CONCURRENCY_MAX = 64,
    /* bytes of the result of a step (for a for_each, of the whole array), and of the outputs */
    PROGRAM_RESULT_MAX = TEMPLATE_RESULT_MAX,
    /* bytes of all results of one run together */
    PROGRAM_RUN_MAX = 4 * 1024 * 1024,
    /* timeout of a program or a step, length of a delay */
    PROGRAM_SECONDS_MAX = 86400,
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
};

enum step_type {
    STEP_TYPE_HTTP,
    STEP_TYPE_TRANSFORM,
    STEP_TYPE_DELAY,
    STEP_TYPE_FAIL,
    STEP_TYPE_WORKFLOW,
    STEP_TYPE_SKILL
};

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
    /* If the step fails, its result is null and the run continues with the next step. */
    bool continue_on_error;

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
    /* --- fail; TEMPLATE_TEXT --- */
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
    struct program_step *steps;
    size_t step_count;
    /* never NULL: the default is the result of the last step */
    struct json_template *outputs;
    int64_t timeout_ms;
    /* minimum price of a run in millionths of a credit; 0: the usual price */
    int64_t credits_micro;
};

/* Questions that only the caller can answer. A NULL function skips the check. */
struct program_hooks {
    bool (*skill_exists)(void *arg, const char *slug);
    void *arg;
};

/* Compiles `document`, which must be nested at most JSON_DEPTH_MAX levels. *program_r is owned by ctx; NULL
 * on ERR_INVALID, when problems were added to `problems` (may be NULL). `hooks` may be NULL: an executor
 * compiles programs that were checked when they were stored. */
enum err program_compile(void *ctx, json_object *document, const struct program_hooks *hooks,
                         struct program **program_r, struct json_problems *problems) WARN_UNUSED;

/* The ids of the workflows that the steps of a document call, each once and in lower case; an array of ctx.
 * The document may be invalid. */
const char **program_child_workflows(void *ctx, json_object *document, size_t *count_r);

/* Access to stored workflows: `children` returns the ids of the workflows that a workflow calls, in the form
 * of program_child_workflows, or ERR_NOT_FOUND if there is no such workflow. */
struct program_graph {
    enum err (*children)(void *arg, void *ctx, const char *workflow_id, const char ***ids_r, size_t *count_r);
    void *arg;
};
/* Adds a problem for each workflow step whose workflow does not exist, or calls `own_id` directly or
 * indirectly (NULL for a new workflow, which no other can call yet). Returns OK even if problems were added;
 * otherwise the error of `children`. */
enum err program_find_loop(void *ctx, const struct program *program, const char *own_id,
                           const struct program_graph *graph, struct json_problems *problems) WARN_UNUSED;

/* --- used by a run --- */

/* The array that a for_each iterates over: read-only, owned by the scope, the step or ctx. ERR_INVALID if it
 * is no array, ERR_LIMIT if it has more than PROGRAM_ITEMS_MAX items. */
enum err program_items(void *ctx, const struct program_step *step, const struct template_scope *scope,
                       json_object **array_r, const char **why_r) WARN_UNUSED;
/* The duration of a delay step, rounded up. ERR_INVALID if it is no number from 0 to PROGRAM_SECONDS_MAX. */
enum err program_delay_ms(void *ctx, const struct program_step *step, const struct template_scope *scope,
                          int64_t *ms_r, const char **why_r) WARN_UNUSED;
/* The delay after the failed attempt number `attempt` (from 1): doubles with each attempt, varies by ±20 %
 * with `random` in [0, 1), and is at most PROGRAM_BACKOFF_SECONDS_MAX. */
int64_t program_backoff_ms(const struct program_step *step, int attempt, double random);
/* True if an http step counts this HTTP status as success. */
bool program_status_expected(const struct program_step *step, int status);
/* Renders the inputs of a child run, {} by default; owned by ctx. ERR_INVALID if they are no object. */
enum err program_child_inputs(void *ctx, const struct program_step *step, const struct template_scope *scope,
                              json_object **inputs_r, const char **why_r) WARN_UNUSED;
/* Renders the outputs of a run; owned by ctx. */
enum err program_outputs(void *ctx, const struct program *program, const struct template_scope *scope,
                         json_object **value_r, const char **why_r) WARN_UNUSED;

/* Records the end of a step in the scope's `steps`. Takes a reference to `result`; `result` and `error` may
 * be NULL. `status` is "completed", "failed" or "skipped". */
void program_scope_put(json_object *steps, const char *name, const char *status, json_object *result,
                       const char *error);
/* The members that ${/execution/...} may refer to; NULL-terminated. */
extern const char *const program_execution_fields[];
