/* The memory of a workflow's scope: its inputs and the results of its steps, as trees of values. A tree takes
 * many times the bytes of its text: 40 times for an array of small integers, 250 times for one of empty
 * objects. While a run waits and memory is scarce, its trees are replaced by their texts.
 *
 * What takes the loop too long is done by a job of the compute thread: parsing more than COMPUTE_INLINE_MAX
 * bytes, and dropping large trees. While the job is out, nothing may use the scope, nor free anything that
 * shares values with it. Loop thread only. */
#pragma once

#include "base/err.h"
#include "base/memory_budget.h"
#include "executor/db_thread/claimed_run.h"
#include "service/compute_thread.h"
#include "workflow/template.h"

struct scope_job;

/* Trees of more are written and freed by the compute thread: 2 MiB take up to 2 ms. */
enum { SCOPE_LARGE_BYTES = 2 * 1024 * 1024 };

/* Whose scope it is, for a job. */
struct scope_owner {
    struct compute_thread *compute;
    /* NULL: no limit */
    struct memory_budget *memory;
    id workspace_id;
    /* On the loop: the job has come back. */
    void (*on_returned)(void *arg);
    void *arg;
};

struct scope_memory {
    /* context of ctx */
    void *parent;
    /* context of the trees, and of the texts in their place */
    void *ctx;
    /* NULL: the trees are there */
    const char *inputs, *steps;
    /* bytes of the trees, by estimate */
    size_t tree_bytes;
    /* The results of these steps are parsed with the texts, before the run goes on with them: borrowed, of
     * the owner, unchanged while a job is out. */
    const struct stored_step *stored_steps;
    size_t stored_steps_n, stored_bytes;
    /* by stored_steps, of ctx; NULL: they are not parsed */
    json_object **stored_values;
    /* NULL: none is out */
    struct scope_job *job;
    /* The job that came back last could not parse the texts. */
    bool unusable;
};

/* Estimate of what json-c allocates for a value. */
size_t json_tree_bytes(json_object *value);

/* Takes over the inputs: of ctx, a parsed object. */
void scope_memory_init(struct scope_memory *m, void *ctx, struct template_scope *scope, json_object *inputs);
/* Takes over a copy of the text of the inputs, an object: scope_memory_restore parses it. */
void scope_memory_init_text(struct scope_memory *m, void *ctx, const char *inputs);
/* After scope_memory_init_text: the results that the run has stored, too. */
void scope_memory_add_stored(struct scope_memory *m, const struct stored_step *steps, size_t n);
/* Replaces the trees by their texts; large ones by a job, which counts their bytes until they are freed.
 * Nothing may use the scope until scope_memory_restore. */
void scope_memory_drop(struct scope_memory *m, struct template_scope *scope, const struct scope_owner *owner);
/* Parses the texts, if the trees are not there. ERR_RETRY: a job is out, or was begun now; on_returned will
 * be called. ERR_INTERNAL: there is not enough memory. */
enum err scope_memory_restore(struct scope_memory *m, struct template_scope *scope,
                              const struct scope_owner *owner) WARN_UNUSED;
/* The run leaves: `state` (a talloc context that holds m and everything that shares values with the scope)
 * is freed; if it takes more than SCOPE_LARGE_BYTES by the compute thread, and `bytes`, which the run's slot
 * gives back, are counted until then. Nothing may use it any more. */
void scope_memory_leave(struct scope_memory *m, void *state, size_t bytes, const struct scope_owner *owner);
/* Bytes that the scope takes now; 0 while its trees are being replaced. */
size_t scope_memory_bytes(const struct scope_memory *m);
