/* The keywords: their vocabularies, and how each is compiled. Private to lib/schema, used by compile.c. */
#pragma once

#include "schema/resolve.h"

/* Fills the node of a subschema whose JSON is an object. Problems are added to the compiler's list. */
void keywords_compile(struct schema_compiler *c, struct subschema *subschema);

/* compile.c provides these two. They return the node of a schema; if it is new, it is queued and filled
 * later. If `json` is no schema, compile_json adds a problem and returns a node that rejects everything. */
struct schema_node *compile_json(struct schema_compiler *c, struct subschema *from, const char *keyword,
                                 json_object *json);
struct schema_node *compile_subschema(struct schema_compiler *c, struct subschema *subschema);
