/* The metaschemas: the built-in documents of 2020-12, and what a schema's own `$schema` asks for. Inner. */
#pragma once

#include "schema/resolve.h"

#define METASCHEMA_STANDARD "https://json-schema.org/draft/2020-12/schema"

/* The built-in document of that URI, freshly parsed into ctx, or NULL. */
json_object *metaschema_builtin(void *ctx, const char *uri);

/* The vocabularies that `$schema` (NULL: the standard) of `place` switches on, and, unless `compiled_r` is
 * NULL, the compiled metaschema to check it against. False when told why not. */
bool metaschema_find(struct schema_compiler *c, const struct subschema *place, const char *uri,
                     unsigned *vocabularies_r, const struct schema **compiled_r);

/* schema_compile without the check against a metaschema: for the metaschema itself. */
enum err schema_compile_trusted(void *ctx, json_object *document, struct schema **schema_r,
                                struct schema_problems *problems_r) WARN_UNUSED;
