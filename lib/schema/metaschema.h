/* The metaschemas: the built-in documents of 2020-12, and the metaschema that a schema names in `$schema`.
 * Private to lib/schema. compile.c compiles them. */
#pragma once

#include "schema/compiler.h"

#define METASCHEMA_STANDARD "https://json-schema.org/draft/2020-12/schema"

/* The vocabularies of 2020-12, as bits. */
enum {
    VOCAB_CORE = 1,
    VOCAB_APPLICATOR = 2,
    VOCAB_UNEVALUATED = 4,
    VOCAB_VALIDATION = 8,
    VOCAB_METADATA = 16,
    VOCAB_FORMAT_ANNOTATION = 32,
    VOCAB_FORMAT_ASSERTION = 64,
    VOCAB_CONTENT = 128,
    VOCAB_STANDARD = 255 & ~64
};

/* What a `$schema` names. */
struct metaschema {
    /* VOCAB_* bits that it enables */
    unsigned vocabularies;
    /* the URI and the document of a custom metaschema; NULL: the standard one */
    const char *uri;
    json_object *document;
};

/* Parses the built-in document of that URI into ctx; NULL if there is none. */
json_object *metaschema_builtin(void *ctx, const char *uri);

/* Finds the metaschema that the `$schema` of `place` names (NULL: the standard one). Its document is owned by
 * the compiler. Returns false, after adding a problem, if it is not in the registry or requires an unknown
 * vocabulary. */
bool metaschema_find(struct schema_compiler *c, const struct subschema *place, const char *uri,
                     struct metaschema *m);
