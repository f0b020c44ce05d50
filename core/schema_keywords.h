/* The keywords: their vocabularies, and how each is compiled. Inner: used by core/schema_compile.c. */
#pragma once

#include "core/schema_resolve.h"

/* Fills the node of a place whose json is an object. Problems are told to the compiler. */
void keywords_compile(struct compiler *c, struct place *place);

/* core/schema_compile.c: the node of the schema `json` (told, and one that admits nothing, if it is none), to
 * be filled later if it was not yet. */
struct node *compile_wanted(struct compiler *c, struct place *from, const char *keyword, json_object *json);
struct node *compile_place(struct compiler *c, struct place *place);
