#include <string.h>
#include <talloc.h>

#include "schema/keywords.h"
#include "schema/metaschema.h"

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

static struct schema_compiler *new_compiler(void *ctx, const struct schema_options *opt,
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
        struct schema_node *node = compile_subschema(c, p);
        r->dynamic = talloc_realloc(r, r->dynamic, struct dynamic_anchor, r->dynamic_count + 1);
        r->dynamic[r->dynamic_count++] = (struct dynamic_anchor){p->dynamic_name, node};
    }
}

struct schema_node *compile_subschema(struct schema_compiler *c, struct subschema *subschema)
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

struct schema_node *compile_json(struct schema_compiler *c, struct subschema *from, const char *keyword,
                                 json_object *json)
{
    void *found;
    if (json && lh_table_lookup_ex(c->by_json, json, &found))
        return compile_subschema(c, found);
    if (!c->too_large)
        compiler_add_problem(c, from, keyword, "must hold schemas: objects or booleans");
    struct schema_node *node = talloc_zero(c->schema, struct schema_node);
    node->resource = from->source->compiled;
    node->never = true;
    return node;
}

static void fill_node(struct schema_compiler *c, struct subschema *subschema)
{
    if (json_object_is_type(subschema->json, json_type_boolean))
        subschema->node->never = !json_object_get_boolean(subschema->json);
    else
        keywords_compile(c, subschema);
}

static void compile_document(struct schema_compiler *c, json_object *document)
{
    struct subschema *root = resolve_document(c, document, "", true);
    if (!root)
        return;
    c->schema->root = compile_subschema(c, root);
    /* also compiles schemas that nothing refers to, so that their mistakes are reported */
    for (struct subschema *p = c->first; p && !c->too_large; p = p->next)
        compile_subschema(c, p);
    while (c->queue_done < c->queue_count && !c->too_large)
        fill_node(c, c->queue[c->queue_done++]);
}

static enum err compile_outcome(struct schema_compiler *c)
{
    if (c->too_large && c->problems->count == 0)
        compiler_add_problem(c, NULL, NULL, "is too large or too deeply nested for a schema");
    if (c->too_large)
        return ERR_LIMIT;
    return c->problems->count > 0 ? ERR_INVALID : OK;
}

static enum err build_schema(void *ctx, json_object *document, const struct schema_options *opt, bool trusted,
                             struct schema **schema_r, struct schema_problems *problems_r)
{
    *schema_r = NULL;
    *problems_r = (struct schema_problems){0};
    struct schema_compiler *c = new_compiler(ctx, opt, problems_r);
    struct schema *schema = c->schema;
    c->trusted = trusted;
    talloc_set_destructor(schema, schema_destroy);
    if (document && json_object_deep_copy(document, &schema->document, NULL) != 0) {
        talloc_free(c);
        talloc_free(schema);
        return ERR_INTERNAL;
    }
    compile_document(c, schema->document);
    enum err e = compile_outcome(c);
    talloc_free(c);
    if (e != OK)
        talloc_free(schema);
    else
        *schema_r = schema;
    return e;
}

enum err schema_compile(void *ctx, json_object *document, const struct schema_options *opt,
                        struct schema **schema_r, struct schema_problems *problems_r)
{
    return build_schema(ctx, document, opt, false, schema_r, problems_r);
}

enum err schema_compile_trusted(void *ctx, json_object *document, struct schema **schema_r,
                                struct schema_problems *problems_r)
{
    return build_schema(ctx, document, NULL, true, schema_r, problems_r);
}
