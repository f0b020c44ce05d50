/* The keywords: their vocabularies, and how each is compiled. Private to lib/schema, used by compile.c. */
#pragma once

#include "schema/compiler.h"

/* Fills the node of a subschema whose JSON is an object. Problems are added to the compiler's list. */
void keywords_compile(struct schema_compiler *c, struct subschema *subschema);
