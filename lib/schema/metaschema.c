#include "schema/metaschema.h"

#include <string.h>
#include <talloc.h>

#include "base/blobs.h"
#include "schema/registry.h"

#define DRAFT "https://json-schema.org/draft/2020-12/"

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

bool metaschema_find(struct schema_compiler *c, const struct subschema *place, const char *uri,
                     struct metaschema *m)
{
    size_t n = uri ? strcspn(uri, "#") : 0;
    bool plain = !uri || uri[n] == '\0' || uri[n + 1] == '\0'; /* an empty fragment is ignored */
    m->document = NULL;
    if (!uri || (plain && n == strlen(METASCHEMA_STANDARD) && strncmp(uri, METASCHEMA_STANDARD, n) == 0)) {
        m->vocabularies = VOCAB_STANDARD;
        return true;
    }
    m->uri = talloc_strndup(c, uri, plain ? n : strlen(uri));
    const char *why = "not found in the registry";
    if (schema_registry_load(c, c->opt->registry, m->uri, &m->document, &why) == OK)
        return read_vocabularies(c, place, m->document, &m->vocabularies);
    compiler_add_problem(c, place, "$schema", "unknown metaschema \"%s\": %s", m->uri, why);
    return false;
}
