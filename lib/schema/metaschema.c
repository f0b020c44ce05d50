#include "schema/metaschema.h"

#include <pthread.h>
#include <string.h>
#include <talloc.h>

#include "base/blobs.h"
#include "schema/registry.h"

#define DRAFT "https://json-schema.org/draft/2020-12/"

static pthread_once_t standard_once = PTHREAD_ONCE_INIT;
/* compiled once, never freed */
static struct schema *standard;

static const char *const vocabularies[] = {
    "core",      "applicator",        "unevaluated",      "validation",
    "meta-data", "format-annotation", "format-assertion", "content",
};

json_object *metaschema_builtin(void *ctx, const char *uri)
{
    if (strncmp(uri, DRAFT, strlen(DRAFT)) != 0)
        return NULL;
    char *name = talloc_asprintf(ctx, "lib/schema/metaschema/%s.json", uri + strlen(DRAFT));
    json_object *document = NULL;
    const char *why;
    for (const struct blob *b = blobs; b->name; b++) {
        if (strcmp(b->name, name) == 0 &&
            json_parse(ctx, b->text, b->size, JSON_DEPTH_MAX, &document, &why) != OK)
            document = NULL;
    }
    talloc_free(name);
    return document;
}

/* The standard metaschema is the only schema that is not checked against its metaschema, because it is its
 * own metaschema. */
static void compile_standard(void)
{
    void *ctx = talloc_new(NULL);
    struct schema_problems problems;
    json_object *document = metaschema_builtin(ctx, METASCHEMA_STANDARD);
    if (document && schema_compile_trusted(NULL, document, &standard, &problems) != OK)
        standard = NULL;
    talloc_free(ctx);
}

static unsigned vocabulary_bit(const char *uri)
{
    for (size_t i = 0; i < sizeof vocabularies / sizeof vocabularies[0]; i++) {
        if (strncmp(uri, DRAFT "vocab/", strlen(DRAFT "vocab/")) == 0 &&
            strcmp(uri + strlen(DRAFT "vocab/"), vocabularies[i]) == 0)
            return 1U << i;
    }
    return 0;
}

static bool read_vocabularies(struct schema_compiler *c, const struct subschema *subschema,
                              json_object *document, unsigned *bits_r)
{
    json_object *list = json_get(document, "$vocabulary");
    *bits_r = VOCAB_STANDARD;
    if (!json_object_is_type(list, json_type_object))
        return true;
    *bits_r = VOCAB_CORE;
    json_object_object_foreach(list, uri, required)
    {
        unsigned bit = vocabulary_bit(uri);
        if (!bit && json_object_is_type(required, json_type_boolean) && json_object_get_boolean(required)) {
            compiler_add_problem(c, subschema, "$schema",
                                 "its metaschema requires the unknown vocabulary \"%s\"", uri);
            return false;
        }
        *bits_r |= bit;
    }
    return true;
}

static bool compile_custom(struct schema_compiler *c, const struct subschema *subschema, const char *uri,
                           json_object *document, const struct schema **compiled_r)
{
    struct schema *compiled;
    struct schema_problems problems;
    struct schema_options opt = {.registry = c->opt->registry};
    if (schema_compile(c, document, &opt, &compiled, &problems) == OK) {
        *compiled_r = compiled;
        return true;
    }
    const char *why = problems.count ? problems.items[0].message : "too large";
    compiler_add_problem(c, subschema, "$schema", "its metaschema \"%s\" is not a valid schema: %s", uri,
                         why);
    return false;
}

/* A custom metaschema has a `$schema` too, which may name itself. Below this depth of nested metaschemas the
 * standard one is used instead, which ends any loop. */
static _Thread_local unsigned custom_depth;

static bool find_custom(struct schema_compiler *c, const struct subschema *subschema, const char *uri,
                        unsigned *bits_r, const struct schema **compiled_r)
{
    json_object *document = NULL;
    const char *why = "not found in the registry";
    if (schema_registry_load(c, c->opt->registry, uri, &document, &why) != OK) {
        compiler_add_problem(c, subschema, "$schema", "unknown metaschema \"%s\": %s", uri, why);
        return false;
    }
    if (!read_vocabularies(c, subschema, document, bits_r))
        return false;
    if (!compiled_r)
        return true;
    if (custom_depth >= 3) {
        pthread_once(&standard_once, compile_standard);
        *compiled_r = standard;
        return true;
    }
    custom_depth++;
    bool found = compile_custom(c, subschema, uri, document, compiled_r);
    custom_depth--;
    return found;
}

bool metaschema_find(struct schema_compiler *c, const struct subschema *subschema, const char *uri,
                     unsigned *vocabularies_r, const struct schema **compiled_r)
{
    size_t n = uri ? strcspn(uri, "#") : 0;
    bool plain = !uri || uri[n] == '\0' || uri[n + 1] == '\0'; /* an empty fragment is ignored */
    if (!plain || (uri && strncmp(uri, METASCHEMA_STANDARD, n) != 0) ||
        (uri && n != strlen(METASCHEMA_STANDARD)))
        return find_custom(c, subschema, talloc_strndup(c, uri, plain ? n : strlen(uri)), vocabularies_r,
                           compiled_r);
    *vocabularies_r = VOCAB_STANDARD;
    if (compiled_r) {
        pthread_once(&standard_once, compile_standard);
        *compiled_r = standard;
    }
    return standard || !compiled_r;
}
