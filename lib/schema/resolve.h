/* Indexes the schemas of a document, and finds the schema that a reference leads to: resources ($id),
 * anchors, JSON pointers, other documents. It neither checks nor compiles a document, and loads none:
 * compile.c does that, before it resolves a reference. Private to lib/schema. */
#pragma once

#include "schema/compiler.h"

/* The root resource of a document that `uri` ("" for the document that is compiled) names, not yet indexed.
 * Returns NULL, after adding a problem, if the document cannot be a schema. */
struct source *resolve_open_document(struct schema_compiler *c, json_object *root, const char *uri,
                                     bool main_document);
/* Indexes all schemas of an opened document and returns the root. NULL if the document is too large
 * (c->too_large). */
struct subschema *resolve_index_document(struct schema_compiler *c, struct source *source);

/* The URI, without fragment, of the resource that `reference` of `from` names; a string of the compiler. */
const char *resolve_reference_uri(struct schema_compiler *c, const struct subschema *from,
                                  const char *reference);
/* True if a resource of that URI is indexed. */
bool resolve_is_known(struct schema_compiler *c, const char *uri);
/* The schema that `reference` of `from` leads to; NULL if there is none. A problem is added then, unless the
 * resource is not known: that was reported when it was loaded. *anchor_r is the fragment if it is a plain
 * name, else NULL. */
struct subschema *resolve_reference(struct schema_compiler *c, struct subschema *from, const char *keyword,
                                    const char *reference, const char **anchor_r);
