/* The keywords: their vocabularies, and how each is compiled. Inner: used by lib/schema/compile.c. */
#pragma once

#include "schema/resolve.h"

/* Fills the node of a place whose json is an object. Problems are told to the compiler. */
void keywords_compile(struct compiler *c, struct place *place);

/* lib/schema/compile.c: the node of the schema `json` (told, and one that admits nothing, if it is none), to
 * be filled later if it was not yet. */
struct node *compile_wanted(struct compiler *c, struct place *from, const char *keyword, json_object *json);
struct node *compile_place(struct compiler *c, struct place *place);
