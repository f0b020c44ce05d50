/* The metaschemas: the built-in documents of 2020-12, and the metaschema that a schema names in `$schema`.
 * Private to lib/schema. */
#pragma once

#include "schema/resolve.h"

#define METASCHEMA_STANDARD "https://json-schema.org/draft/2020-12/schema"

/* Parses the built-in document of that URI into ctx; NULL if there is none. */
json_object *metaschema_builtin(void *ctx, const char *uri);

/* Finds the vocabularies that the `$schema` (NULL: the standard one) of `place` enables and, unless
 * `compiled_r` is NULL, the compiled metaschema to check it against. Returns false if that failed; a problem
 * was added. */
bool metaschema_find(struct schema_compiler *c, const struct subschema *place, const char *uri,
                     unsigned *vocabularies_r, const struct schema **compiled_r);

/* schema_compile without the check against a metaschema, for the metaschema itself. */
enum err schema_compile_trusted(void *ctx, json_object *document, struct schema **schema_r,
                                struct schema_problems *problems_r) WARN_UNUSED;
