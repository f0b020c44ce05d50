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
    m->ctx = talloc_new(ctx);
    scope->inputs = json_own(m->ctx, json_object_get(inputs));
    scope->steps = json_own(m->ctx, json_object_new_object());
    m->tree_bytes = json_tree_bytes(inputs);
}

void scope_memory_init_text(struct scope_memory *m, void *ctx, const char *inputs)
{
    m->ctx = talloc_new(ctx);
    m->inputs = talloc_strdup(m->ctx, inputs);
    m->steps = talloc_strdup(m->ctx, "{}");
}

void scope_memory_drop(struct scope_memory *m, struct template_scope *scope)
{
    if (m->inputs)
        return;
    void *texts = talloc_new(talloc_parent(m->ctx));
    m->inputs = talloc_strdup(texts, json_text(scope->inputs, NULL));
    m->steps = talloc_strdup(texts, json_text(scope->steps, NULL));
    talloc_free(m->ctx);
    m->ctx = texts;
    scope->inputs = scope->steps = NULL;
}

static json_object *parse_object(void *ctx, const char *text)
{
    json_object *value = NULL;
    const char *why;
    return json_parse_tolerant(ctx, text, strlen(text), STEPS_DEPTH, &value, &why) == OK ? value : NULL;
}

enum err scope_memory_restore(struct scope_memory *m, struct template_scope *scope)
{
    if (!m->inputs)
        return OK;
    void *trees = talloc_new(talloc_parent(m->ctx));
    scope->inputs = parse_object(trees, m->inputs);
    scope->steps = parse_object(trees, m->steps);
    if (!scope->inputs || !scope->steps) {
        talloc_free(trees);
        scope->inputs = scope->steps = NULL;
        return ERR_INTERNAL;
    }
    if (m->tree_bytes == 0)
        m->tree_bytes = json_tree_bytes(scope->inputs);
    talloc_free(m->ctx);
    m->ctx = trees;
    m->inputs = m->steps = NULL;
    return OK;
}

size_t scope_memory_bytes(const struct scope_memory *m)
{
    return m->inputs ? strlen(m->inputs) + strlen(m->steps) : m->tree_bytes;
}
