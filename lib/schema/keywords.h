/* The keywords: their vocabularies, and how each is compiled. Inner: used by lib/schema/compile.c. */
#pragma once

#include "schema/resolve.h"

/* Fills the node of a subschema whose json is an object. Problems are told to the compiler. */
void keywords_compile(struct schema_compiler *c, struct subschema *subschema);

/* lib/schema/compile.c: the node of the schema `json` (told, and one that admits nothing, if it is none), to
 * be filled later if it was not yet. */
struct schema_node *compile_json(struct schema_compiler *c, struct subschema *from, const char *keyword,
                                 json_object *json);
struct schema_node *compile_subschema(struct schema_compiler *c, struct subschema *subschema);
