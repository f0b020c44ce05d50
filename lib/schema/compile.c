#include <string.h>
#include <talloc.h>

#include "schema/keywords.h"
#include "schema/metaschema.h"

static int json_drop(struct schema *schema)
{
    json_object_put(schema->document);
    return 0;
}

static int tables_drop(struct compiler *c)
{
    lh_table_free(c->by_json);
    lh_table_free(c->by_uri);
    lh_table_free(c->names);
    return 0;
}

static struct compiler *new_compiler(void *ctx, const struct schema_options *opt,
                                     struct schema_problems *problems)
{
    static const struct schema_options defaults = {0};
    struct compiler *c = talloc_zero(ctx, struct compiler);
    c->opt = opt ? opt : &defaults;
    c->problem_ctx = ctx;
    c->problems = problems;
    c->end = &c->first;
    c->schema = talloc_zero(ctx, struct schema);
    c->schema->budget = c->opt->budget > 0 ? c->opt->budget : SCHEMA_BUDGET_DEFAULT;
    c->by_json = lh_kptr_table_new(64, NULL);
    c->by_uri = lh_kchar_table_new(16, NULL);
    c->names = lh_kchar_table_new(16, NULL);
    talloc_set_destructor(c, tables_drop);
    return c;
}

/* A resource that may enter the dynamic scope needs all its dynamic anchors compiled. */
static void use_source(struct compiler *c, struct source *source)
{
    if (source->used)
        return;
    source->used = true;
    struct resource *r = source->compiled;
    for (struct place *p = source->dynamic; p; p = p->next_dynamic) {
        struct node *node = compile_place(c, p);
        r->dynamic = talloc_realloc(r, r->dynamic, struct dynamic_anchor, r->dynamic_count + 1);
        r->dynamic[r->dynamic_count++] = (struct dynamic_anchor){p->dynamic_name, node};
    }
}

struct node *compile_place(struct compiler *c, struct place *place)
{
    if (place->node)
        return place->node;
    place->node = talloc_zero(c->schema, struct node);
    place->node->resource = place->source->compiled;
    if (c->queue_count % 64 == 0)
        c->queue = talloc_realloc(c, c->queue, struct place *, c->queue_count + 64);
    c->queue[c->queue_count++] = place;
    use_source(c, place->source);
    return place->node;
}

struct node *compile_wanted(struct compiler *c, struct place *from, const char *keyword, json_object *json)
{
    void *found;
    if (json && lh_table_lookup_ex(c->by_json, json, &found))
        return compile_place(c, found);
    if (!c->too_large)
        compiler_complain(c, from, keyword, "must hold schemas: objects or booleans");
    struct node *node = talloc_zero(c->schema, struct node);
    node->resource = from->source->compiled;
    node->never = true;
    return node;
}

static void fill_node(struct compiler *c, struct place *place)
{
    if (json_object_is_type(place->json, json_type_boolean))
        place->node->never = !json_object_get_boolean(place->json);
    else
        keywords_compile(c, place);
}

static void compile_document(struct compiler *c, json_object *document)
{
    struct place *root = resolve_document(c, document, "", true);
    if (!root)
        return;
    c->schema->root = compile_place(c, root);
    /* also what nothing refers to yet: its mistakes should be told now */
    for (struct place *p = c->first; p && !c->too_large; p = p->next)
        compile_place(c, p);
    while (c->queue_done < c->queue_count && !c->too_large)
        fill_node(c, c->queue[c->queue_done++]);
}

static enum err compile_outcome(struct compiler *c)
{
    if (c->too_large && c->problems->count == 0)
        compiler_complain(c, NULL, NULL, "is too large or too deeply nested for a schema");
    if (c->too_large)
        return ERR_LIMIT;
    return c->problems->count > 0 ? ERR_INVALID : OK;
}

static enum err compile(void *ctx, json_object *document, const struct schema_options *opt, bool trusted,
                        struct schema **schema_r, struct schema_problems *problems_r)
{
    *schema_r = NULL;
    *problems_r = (struct schema_problems){0};
    struct compiler *c = new_compiler(ctx, opt, problems_r);
    struct schema *schema = c->schema;
    c->trusted = trusted;
    talloc_set_destructor(schema, json_drop);
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
    return compile(ctx, document, opt, false, schema_r, problems_r);
}

enum err schema_compile_trusted(void *ctx, json_object *document, struct schema **schema_r,
                                struct schema_problems *problems_r)
{
    return compile(ctx, document, NULL, true, schema_r, problems_r);
}
