#include "executor/run/workflow/scope_memory.h"

#include <string.h>
#include <talloc.h>

#include "workflow/program.h"
#include "json/json.h"

/* What json-c 0.16 and malloc take, measured with malloc_usable_size. */
enum {
    VALUE_BYTES = 64,
    ARRAY_BYTES = 64 + 80,
    OBJECT_BYTES = 64 + 96 + 656,
    MEMBER_BYTES = 80,
    /* members that OBJECT_BYTES has room for */
    MEMBERS_FREE = 10,
    /* steps.NAME.result is three levels above a result */
    STEPS_DEPTH = PROGRAM_RESULT_DEPTH_MAX + 4,
};

static size_t object_bytes(json_object *value)
{
    size_t n = (size_t)json_object_object_length(value);
    size_t bytes = OBJECT_BYTES + (n > MEMBERS_FREE ? (n - MEMBERS_FREE) * MEMBER_BYTES : 0);
    json_object_object_foreach(value, key, member)
    {
        bytes += strlen(key) + 24 + json_tree_bytes(member);
    }
    return bytes;
}

static size_t array_bytes(json_object *value)
{
    size_t n = json_object_array_length(value);
    size_t bytes = ARRAY_BYTES + n * sizeof(void *);
    for (size_t i = 0; i < n; i++)
        bytes += json_tree_bytes(json_object_array_get_idx(value, i));
    return bytes;
}

/* The nesting of a value is limited where it is parsed. */
size_t json_tree_bytes(json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        return 0;
    case json_type_object:
        return object_bytes(value);
    case json_type_array:
        return array_bytes(value);
    case json_type_string:
        return VALUE_BYTES + (size_t)json_object_get_string_len(value);
    default:
        return VALUE_BYTES;
    }
}

void scope_memory_init(struct scope_memory *m, void *ctx, struct template_scope *scope, json_object *inputs)
{
    m->parent = ctx;
    m->ctx = talloc_new(ctx);
    scope->inputs = json_own(m->ctx, json_object_get(inputs));
    scope->steps = json_own(m->ctx, json_object_new_object());
    m->tree_bytes = json_tree_bytes(inputs);
}

void scope_memory_init_text(struct scope_memory *m, void *ctx, const char *inputs)
{
    m->parent = ctx;
    m->ctx = talloc_new(ctx);
    m->inputs = talloc_strdup(m->ctx, inputs);
    m->steps = talloc_strdup(m->ctx, "{}");
}

void scope_memory_add_stored(struct scope_memory *m, const struct stored_step *steps, size_t n)
{
    m->stored_steps = steps;
    m->stored_steps_n = n;
    for (size_t i = 0; i < n; i++)
        m->stored_bytes += steps[i].result ? strlen(steps[i].result) : 0;
}

/* --- texts and trees --- */

struct scope_trees {
    json_object *inputs, *steps;
    json_object **stored_values;
    size_t bytes;
};

struct scope_texts {
    const char *inputs, *steps;
};

static struct scope_texts write_texts(void *ctx, const struct scope_trees *trees)
{
    return (struct scope_texts){.inputs = talloc_strdup(ctx, json_text(trees->inputs, NULL)),
                                .steps = talloc_strdup(ctx, json_text(trees->steps, NULL))};
}

static json_object *parse_value(void *ctx, const char *text, int depth)
{
    json_object *value = NULL;
    const char *why;
    return json_parse_tolerant(ctx, text, strlen(text), depth, &value, &why) == OK ? value : NULL;
}

/* False: there is not enough memory. */
static bool parse_texts(void *ctx, const struct scope_memory *m, struct scope_trees *trees)
{
    trees->inputs = parse_value(ctx, m->inputs, STEPS_DEPTH);
    trees->steps = parse_value(ctx, m->steps, STEPS_DEPTH);
    if (!trees->inputs || !trees->steps)
        return false;
    trees->bytes = m->tree_bytes ? m->tree_bytes : json_tree_bytes(trees->inputs);
    if (m->stored_steps_n == 0)
        return true;
    trees->stored_values = talloc_zero_array(ctx, json_object *, m->stored_steps_n);
    for (size_t i = 0; i < m->stored_steps_n; i++) {
        const char *text = m->stored_steps[i].result;
        trees->stored_values[i] = text ? parse_value(ctx, text, PROGRAM_RESULT_DEPTH_MAX) : NULL;
    }
    return true;
}

/* Takes over `ctx`, the context of the texts. */
static void put_texts(struct scope_memory *m, void *ctx, const struct scope_texts *texts)
{
    m->ctx = ctx;
    m->inputs = texts->inputs;
    m->steps = texts->steps;
}

/* Takes over `ctx`, the context of the trees. */
static void put_trees(struct scope_memory *m, struct template_scope *scope, void *ctx,
                      const struct scope_trees *trees)
{
    talloc_free(m->ctx);
    m->ctx = ctx;
    m->inputs = m->steps = NULL;
    m->tree_bytes = trees->bytes;
    m->stored_values = trees->stored_values;
    m->stored_steps_n = 0; /* once */
    scope->inputs = trees->inputs;
    scope->steps = trees->steps;
}

/* --- jobs --- */

/* One of them is out for a scope at a time. */
struct scope_job {
    struct compute_job compute; /* first */
    struct scope_owner owner;
    struct scope_memory *memory;
    struct template_scope *scope;
    /* The context that the thread allocates in: no other thread touches it meanwhile. With a job that drops
     * trees, their context is a child of it. */
    void *ctx;
    bool drops;
    struct scope_trees trees;
    struct scope_texts texts;
    bool failed;
    /* of a run that has left */
    size_t left_bytes;
};

static int scope_job_destroy(struct scope_job *job)
{
    talloc_free(job->ctx);
    return 0;
}

static void parse_scope(struct compute_job *compute)
{
    struct scope_job *job = (struct scope_job *)compute;
    job->failed = !parse_texts(job->ctx, job->memory, &job->trees);
}

static void drop_scope(struct compute_job *compute)
{
    struct scope_job *job = (struct scope_job *)compute;
    void *texts = talloc_new(NULL);
    job->texts = write_texts(texts, &job->trees);
    talloc_free(job->ctx);
    job->ctx = texts;
    memory_budget_return(job->owner.memory, job->trees.bytes);
}

static void on_scope_job_done(struct compute_job *compute)
{
    struct scope_job *job = (struct scope_job *)compute;
    struct scope_owner owner = job->owner;
    struct scope_memory *m = compute->arg;
    if (!m) { /* with the state of a run that has left */
        compute_discard(owner.compute, &owner.workspace_id, job, owner.memory, job->left_bytes);
        return;
    }
    m->job = NULL;
    if (job->failed) {
        m->unusable = true;
    } else {
        void *ctx = talloc_steal(m->parent, job->ctx);
        job->ctx = NULL;
        if (job->drops)
            put_texts(m, ctx, &job->texts);
        else
            put_trees(m, job->scope, ctx, &job->trees);
    }
    talloc_free(job);
    owner.on_returned(owner.arg);
}

static struct scope_job *scope_job_new(struct scope_memory *m, struct template_scope *scope,
                                       const struct scope_owner *owner)
{
    struct scope_job *job = talloc_zero(NULL, struct scope_job);
    job->compute =
        (struct compute_job){.workspace_id = owner->workspace_id, .done = on_scope_job_done, .arg = m};
    job->owner = *owner;
    job->memory = m;
    job->scope = scope;
    job->ctx = talloc_new(NULL);
    talloc_set_destructor(job, scope_job_destroy);
    m->job = job;
    return job;
}

/* --- for the run --- */

void scope_memory_drop(struct scope_memory *m, struct template_scope *scope, const struct scope_owner *owner)
{
    if (m->inputs || m->job)
        return;
    struct scope_trees trees = {.inputs = scope->inputs, .steps = scope->steps};
    scope->inputs = scope->steps = NULL;
    m->stored_values = NULL;
    if (m->tree_bytes > SCOPE_LARGE_BYTES) {
        struct scope_job *job = scope_job_new(m, scope, owner);
        job->drops = true;
        job->trees = trees;
        job->trees.bytes = m->tree_bytes;
        memory_budget_add(owner->memory, m->tree_bytes);
        job->compute.work = drop_scope;
        talloc_steal(job->ctx, m->ctx);
        m->ctx = NULL;
        compute_submit(owner->compute, &job->compute);
        return;
    }
    void *ctx = talloc_new(m->parent);
    struct scope_texts texts = write_texts(ctx, &trees);
    talloc_free(m->ctx);
    put_texts(m, ctx, &texts);
}

enum err scope_memory_restore(struct scope_memory *m, struct template_scope *scope,
                              const struct scope_owner *owner)
{
    if (m->job)
        return ERR_RETRY;
    if (m->unusable)
        return ERR_INTERNAL;
    if (!m->inputs)
        return OK;
    if (strlen(m->inputs) + strlen(m->steps) + m->stored_bytes > COMPUTE_INLINE_MAX) {
        struct scope_job *job = scope_job_new(m, scope, owner);
        job->compute.work = parse_scope;
        compute_submit(owner->compute, &job->compute);
        return ERR_RETRY;
    }
    struct scope_trees trees = {0};
    void *ctx = talloc_new(m->parent);
    if (!parse_texts(ctx, m, &trees)) {
        talloc_free(ctx);
        return ERR_INTERNAL;
    }
    put_trees(m, scope, ctx, &trees);
    return OK;
}

void scope_memory_leave(struct scope_memory *m, void *state, size_t bytes, const struct scope_owner *owner)
{
    if (!m->job && bytes <= SCOPE_LARGE_BYTES && m->tree_bytes <= SCOPE_LARGE_BYTES) {
        talloc_free(state);
        return;
    }
    memory_budget_add(owner->memory, bytes);
    if (m->job) {
        m->job->compute.arg = NULL;
        m->job->left_bytes = bytes;
        talloc_steal(m->job, state);
    } else {
        compute_discard(owner->compute, &owner->workspace_id, state, owner->memory, bytes);
    }
}

size_t scope_memory_bytes(const struct scope_memory *m)
{
    if (m->job)
        return m->job->drops ? 0 : m->tree_bytes;
    return m->inputs ? strlen(m->inputs) + strlen(m->steps) : m->tree_bytes;
}
