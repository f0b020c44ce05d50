/* The memory of a workflow's scope: its inputs and the results of its steps, as trees of values. A tree takes
 * many times the bytes of its text: 40 times for an array of small integers, 250 times for one of empty
 * objects. While a run waits and memory is scarce, its trees are replaced by their texts. Loop thread only.
 */
#pragma once

#include "base/err.h"
#include "workflow/template.h"

struct scope_memory {
    /* context of the trees, and of the texts in their place */
    void *ctx;
    /* NULL: the trees are there */
    const char *inputs, *steps;
    /* bytes of the trees, by estimate */
    size_t tree_bytes;
};

/* Estimate of what json-c allocates for a value. */
size_t json_tree_bytes(json_object *value);

/* Takes over the inputs: of ctx, a parsed object. */
void scope_memory_init(struct scope_memory *m, void *ctx, struct template_scope *scope, json_object *inputs);
/* Takes over a copy of the text of the inputs, an object: scope_memory_restore parses it. */
void scope_memory_init_text(struct scope_memory *m, void *ctx, const char *inputs);
/* Replaces the trees by their texts. Nothing may use the scope until scope_memory_restore. */
void scope_memory_drop(struct scope_memory *m, struct template_scope *scope);
/* Parses the texts again, if the trees were dropped. ERR_INTERNAL: there is not enough memory. */
enum err scope_memory_restore(struct scope_memory *m, struct template_scope *scope) WARN_UNUSED;
/* Bytes that the scope takes now. */
size_t scope_memory_bytes(const struct scope_memory *m);
