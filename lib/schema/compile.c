#include <pthread.h>
#include <string.h>
#include <talloc.h>

#include "schema/keywords.h"
#include "schema/metaschema.h"
#include "schema/registry.h"
#include "schema/resolve.h"

static enum err build_schema(void *ctx, json_object *document, const struct schema_options *opt, bool trusted,
                             struct schema **schema_r, struct schema_problems *problems_r);

/* --- the metaschema of a document --- */

static pthread_once_t standard_once = PTHREAD_ONCE_INIT;
/* compiled once, never freed */
static struct schema *standard;

/* The standard metaschema is the only schema that is not checked against its metaschema, because it is its
 * own metaschema. */
static void compile_standard(void)
{
    void *ctx = talloc_new(NULL);
    struct schema_problems problems;
    json_object *document = metaschema_builtin(ctx, METASCHEMA_STANDARD);
    if (document && build_schema(NULL, document, NULL, true, &standard, &problems) != OK)
        standard = NULL;
    talloc_free(ctx);
}

static const struct schema *compile_custom(struct schema_compiler *c, const struct subschema *root,
                                           const struct metaschema *m)
{
    struct schema *compiled;
    struct schema_problems problems;
    struct schema_options opt = {.registry = c->opt->registry};
    if (schema_compile(c, m->document, &opt, &compiled, &problems) == OK)
        return compiled;
    const char *why = problems.count ? problems.items[0].message : "too large";
    compiler_add_problem(c, root, "$schema", "its metaschema \"%s\" is not a valid schema: %s", m->uri, why);
    return NULL;
}

/* Returns NULL if the metaschema is not valid; a problem was added. */
static const struct schema *compile_metaschema(struct schema_compiler *c, const struct subschema *root,
                                               const struct metaschema *m)
{
    /* A custom metaschema has a `$schema` too, which may name itself. Below this depth of nested metaschemas
     * the standard one is used instead, which ends any loop. */
    enum { CUSTOM_DEPTH_MAX = 3 };
    static _Thread_local unsigned custom_depth;
    if (!m->document || custom_depth >= CUSTOM_DEPTH_MAX) {
        pthread_once(&standard_once, compile_standard);
        return standard;
    }
    custom_depth++;
    const struct schema *compiled = compile_custom(c, root, m);
    custom_depth--;
    return compiled;
}

/* Validates a document against the metaschema that it names, and enables the vocabularies of that. False if
 * it is not valid; problems were added. */
static bool check_document(struct schema_compiler *c, struct source *source)
{
    struct subschema root = {.json = source->root, .source = source, .pointer = ""};
    struct metaschema m = {.vocabularies = source->vocabularies};
    bool found = metaschema_find(c, &root, json_get_text(source->root, "$schema"), &m);
    source->vocabularies = m.vocabularies;
    const struct schema *metaschema = found ? compile_metaschema(c, &root, &m) : NULL;
    if (!metaschema)
        return false;
    struct schema_problems problems = {0};
    enum err e = schema_validate(c, metaschema, source->root, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        struct subschema at = {.source = source, .pointer = problems.items[i].pointer};
        compiler_add_problem(c, &at, NULL, "%s", problems.items[i].message);
    }
    return e == OK;
}

/* --- documents --- */

/* Checks and indexes a document. The built-in documents are known to be valid and of the standard dialect. */
static struct subschema *add_document(struct schema_compiler *c, json_object *document, const char *uri,
                                      bool main_document)
{
    struct source *source = resolve_open_document(c, document, uri, main_document);
    if (!source)
        return NULL;
    bool trusted = c->trusted || (!main_document && metaschema_builtin(c, uri));
    if (!trusted && !check_document(c, source))
        return NULL;
    return resolve_index_document(c, source);
}

/* Adds the document of a reference, unless it is known. A problem is added if it cannot be found or is not
 * valid. */
static void load_reference(struct schema_compiler *c, struct subschema *from, const char *keyword)
{
    const char *reference = json_get_text(from->json, keyword);
    const char *uri = reference ? resolve_reference_uri(c, from, reference) : NULL;
    if (!uri || resolve_is_known(c, uri))
        return;
    const char *why = "not in this schema and not in the registry";
    json_object *document = metaschema_builtin(c->schema, uri);
    if (document || schema_registry_load(c->schema, c->opt->registry, uri, &document, &why) == OK)
        add_document(c, document, uri, false);
    else
        compiler_add_problem(c, from, keyword, "cannot find the schema \"%s\": %s", uri, why);
}

/* --- nodes --- */

static void fill_node(struct schema_compiler *c, struct subschema *subschema)
{
    if (json_object_is_type(subschema->json, json_type_boolean)) {
        subschema->node->never = !json_object_get_boolean(subschema->json);
        return;
    }
    load_reference(c, subschema, "$ref");
    load_reference(c, subschema, "$dynamicRef");
    keywords_compile(c, subschema);
}

static void compile_document(struct schema_compiler *c, json_object *document)
{
    struct subschema *root = add_document(c, document, "", true);
    if (!root)
        return;
    c->schema->root = compiler_node(c, root);
    /* also compiles schemas that nothing refers to, so that their mistakes are reported */
    for (struct subschema *p = c->first; p && !c->too_large; p = p->next)
        compiler_node(c, p);
    while (c->queue_done < c->queue_count && !c->too_large)
        fill_node(c, c->queue[c->queue_done++]);
}

static enum err compile_outcome(struct schema_compiler *c)
{
    if (c->too_large && c->problems->count == 0)
        compiler_add_problem(c, NULL, NULL, "is too large or too deeply nested for a schema");
    if (c->too_large)
        return ERR_LIMIT;
    if (c->problems->count > 0)
        return ERR_INVALID;
    /* without a problem there is no root only if the standard metaschema could not be built */
    return c->schema->root ? OK : ERR_INTERNAL;
}

static enum err build_schema(void *ctx, json_object *document, const struct schema_options *opt, bool trusted,
                             struct schema **schema_r, struct schema_problems *problems_r)
{
    *schema_r = NULL;
    *problems_r = (struct schema_problems){0};
    struct schema_compiler *c = compiler_new(ctx, opt, problems_r);
    struct schema *schema = c->schema;
    c->trusted = trusted;
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
