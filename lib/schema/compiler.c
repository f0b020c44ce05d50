#include "schema/compiler.h"

#include <stdarg.h>
#include <string.h>
#include <talloc.h>

void compiler_add_problem(struct schema_compiler *c, const struct subschema *subschema, const char *keyword,
                          const char *format, ...)
{
    struct schema_problems *p = c->problems;
    if (p->count >= SCHEMA_PROBLEMS_MAX)
        return;
    va_list args;
    va_start(args, format);
    char *message = talloc_vasprintf(c->problem_ctx, format, args);
    va_end(args);
    const char *pointer = subschema ? subschema->pointer : "";
    if (keyword)
        pointer = json_pointer_join(c->problem_ctx, pointer, keyword);
    if (subschema && subschema->source->document_uri) {
        message = talloc_asprintf(c->problem_ctx, "in %s at \"%s\": %s", subschema->source->document_uri,
                                  pointer, message);
        pointer = "";
    }
    p->items = talloc_realloc(c->problem_ctx, p->items, struct schema_problem, p->count + 1);
    p->items[p->count++] = (struct schema_problem){talloc_strdup(c->problem_ctx, pointer), message};
}

static int schema_destroy(struct schema *schema)
{
    json_object_put(schema->document);
    return 0;
}

static int compiler_destroy(struct schema_compiler *c)
{
    lh_table_free(c->by_json);
    lh_table_free(c->by_uri);
    lh_table_free(c->names);
    return 0;
}

struct schema_compiler *compiler_new(void *ctx, const struct schema_options *opt,
                                     struct schema_problems *problems)
{
    static const struct schema_options defaults = {0};
    struct schema_compiler *c = talloc_zero(ctx, struct schema_compiler);
    c->opt = opt ? opt : &defaults;
    c->problem_ctx = ctx;
    c->problems = problems;
    c->end = &c->first;
    c->schema = talloc_zero(ctx, struct schema);
    c->schema->budget = c->opt->budget > 0 ? c->opt->budget : SCHEMA_BUDGET_DEFAULT;
    c->by_json = lh_kptr_table_new(64, NULL);
    c->by_uri = lh_kchar_table_new(16, NULL);
    c->names = lh_kchar_table_new(16, NULL);
    talloc_set_destructor(c, compiler_destroy);
    talloc_set_destructor(c->schema, schema_destroy);
    return c;
}

/* A resource that may enter the dynamic scope needs all its dynamic anchors in compiled form. */
static void use_source(struct schema_compiler *c, struct source *source)
{
    if (source->used)
        return;
    source->used = true;
    struct resource *r = source->compiled;
    for (struct subschema *p = source->dynamic; p; p = p->next_dynamic) {
        struct schema_node *node = compiler_node(c, p);
        r->dynamic = talloc_realloc(r, r->dynamic, struct dynamic_anchor, r->dynamic_count + 1);
        r->dynamic[r->dynamic_count++] = (struct dynamic_anchor){p->dynamic_name, node};
    }
}

struct schema_node *compiler_node(struct schema_compiler *c, struct subschema *subschema)
{
    if (subschema->node)
        return subschema->node;
    subschema->node = talloc_zero(c->schema, struct schema_node);
    subschema->node->resource = subschema->source->compiled;
    if (c->queue_count % 64 == 0)
        c->queue = talloc_realloc(c, c->queue, struct subschema *, c->queue_count + 64);
    c->queue[c->queue_count++] = subschema;
    use_source(c, subschema->source);
    return subschema->node;
}

struct schema_node *compiler_node_of_json(struct schema_compiler *c, struct subschema *from,
                                          const char *keyword, json_object *json)
{
    void *found;
    if (json && lh_table_lookup_ex(c->by_json, json, &found))
        return compiler_node(c, found);
    if (!c->too_large)
        compiler_add_problem(c, from, keyword, "must hold schemas: objects or booleans");
    struct schema_node *node = talloc_zero(c->schema, struct schema_node);
    node->resource = from->source->compiled;
    node->never = true;
    return node;
}
