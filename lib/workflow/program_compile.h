/* A workflow's program: compiled from its JSON once, with every mistake that can be told beforehand found and
 * placed (docs/workflows.md describes the language). A compiled program is immutable; any number of threads
 * may read and render it. It owns all that it needs, nothing of the document.
 *
 * The scope of its templates: `steps` holds {NAME: {result, status, error}} for every step that has ended
 * (program_scope_put), `execution` the members of program_execution_fields, all of them always. */
#pragma once

#include "schema/schema.h"
#include "workflow/condition.h"
#include "workflow/template.h"

enum {
    PROGRAM_STEPS_MAX = 200,
    PROGRAM_ITEMS_MAX = 10000,    /* of one for_each */
    PROGRAM_CONCURRENCY_MAX = 64, /* items of one for_each at a time */
    PROGRAM_RESULT_MAX =
        TEMPLATE_RESULT_MAX, /* bytes of a step's result (an array of for_each as a whole), of outputs */
    PROGRAM_RUN_MAX = 4 * 1024 * 1024, /* bytes of all results of a run */
    PROGRAM_SECONDS_MAX = 86400,       /* of a program, a step, a delay */
    PROGRAM_SECONDS_DEFAULT = 600,     /* of a program */
    PROGRAM_ATTEMPTS_MAX = 10,
    PROGRAM_BACKOFF_SECONDS_MAX = 3600, /* both as written and between two attempts */
    PROGRAM_CREDITS_MAX = 1000000,
    PROGRAM_NAME_MAX = 64,    /* of a step */
    PROGRAM_HEADERS_MAX = 64, /* of a request; as many query parameters */
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
    int from, to; /* both included */
};

struct program_step {
    size_t index;
    const char *name;
    enum step_type type;
    const char *type_name; /* "http" … */

    struct condition *condition; /* NULL: always */
    bool condition_per_item;     /* it mentions item or index: asked for each item, whose result is null if it
                                    fails */
    struct json_template *for_each; /* NULL: once. See program_items */
    int concurrency;
    int max_attempts;
    int64_t backoff_ms;     /* before the second attempt; see program_backoff_ms */
    int64_t timeout_ms;     /* of one attempt of one item; 0: only the run's own */
    bool continue_on_error; /* a failed step's result is null and the next one starts */

    /* http; step_request.h renders it */
    const char *method;
    struct json_template *url;
    struct step_field *headers; /* TEMPLATE_HEADER */
    size_t header_count;
    struct step_field *query; /* TEMPLATE_VALUE */
    size_t query_count;
    struct json_template *body; /* NULL: none */
    struct status_range *expect;
    size_t expect_count;

    struct json_template *value;   /* transform */
    struct json_template *seconds; /* delay; see program_delay_ms */
    struct json_template *message; /* fail; TEMPLATE_TEXT */

    const char *workflow_id;               /* workflow; lower case */
    const char *slug;                      /* skill */
    struct json_template *inputs;          /* workflow, skill: must render to an object; NULL: {} */
    struct json_template *model;           /* skill; TEMPLATE_TEXT; NULL: the space's default */
    struct json_template *file_source_ids; /* skill; must render to an array of strings; NULL: none */
};

struct program {
    struct schema *inputs; /* NULL: any object */
    struct program_step *steps;
    size_t step_count;
    struct json_template *outputs; /* never NULL: without `outputs` it is the last step's result */
    int64_t timeout_ms;
    int64_t credits_micro; /* at least this much is charged; 0: the usual price */
};

/* What only the caller knows; NULL functions are not asked. */
struct program_hooks {
    bool (*skill_exists)(void *arg, const char *slug);
    void *arg;
};

/* OK, or ERR_INVALID with the problems. `hooks` may be NULL: an executor compiles what was checked when
 * stored. `document` is nested at most JSON_DEPTH_MAX deep. */
enum err program_compile(void *ctx, json_object *document, const struct program_hooks *hooks,
                         struct program **program_r, struct json_problems *problems) WARN_UNUSED;

/* Ids of the workflows that a document's steps call, each once, in lower case; the document need not be
 * checked. */
const char **program_child_workflows(void *ctx, json_object *document, size_t *count_r);

/* Gives a stored workflow's children (as program_child_workflows), ERR_NOT_FOUND where there is no such
 * workflow. */
struct program_graph {
    enum err (*children)(void *arg, void *ctx, const char *workflow_id, const char ***ids_r, size_t *count_r);
    void *arg;
};
/* Adds a problem for each workflow step whose workflow does not exist or leads back to `own_id` (NULL for a
 * workflow that is new, to which nothing leads). OK also when it added some; else what `children` failed
 * with. */
enum err program_find_loop(void *ctx, const struct program *program, const char *own_id,
                           const struct program_graph *graph, struct json_problems *problems) WARN_UNUSED;

/* --- what a run asks of it --------------------------------------------------------------------------------
 */

/* The array that a for_each goes over, at most PROGRAM_ITEMS_MAX long: the scope's own or of ctx; not to be
 * changed. */
enum err program_items(void *ctx, const struct program_step *step, const struct template_scope *scope,
                       json_object **array_r, const char **why_r) WARN_UNUSED;
/* How long a delay step waits. */
enum err program_delay_ms(void *ctx, const struct program_step *step, const struct template_scope *scope,
                          int64_t *ms_r, const char **why_r) WARN_UNUSED;
/* How long to wait after `attempt` (from 1) has failed: doubled with each, ±20 % by `random` in [0, 1). */
int64_t program_backoff_ms(const struct program_step *step, int attempt, double random);
/* Whether an http step takes this status for success. */
bool program_status_expected(const struct program_step *step, int status);
/* The inputs of a child ({} by default): ERR_INVALID where they are no object. */
enum err program_child_inputs(void *ctx, const struct program_step *step, const struct template_scope *scope,
                              json_object **inputs_r, const char **why_r) WARN_UNUSED;
/* The run's output. */
enum err program_outputs(void *ctx, const struct program *program, const struct template_scope *scope,
                         json_object **value_r, const char **why_r) WARN_UNUSED;

/* Records how a step ended in the scope's `steps`. Takes a reference on `result`; it and `error` may be NULL.
 * status: "completed", "failed" or "skipped". */
void program_scope_put(json_object *steps, const char *name, const char *status, json_object *result,
                       const char *error);
/* NULL-terminated: what ${/execution/…} knows. */
extern const char *const program_execution_fields[];
