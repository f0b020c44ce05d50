/* The state of one compilation: the schemas found in the documents, and the nodes made of them. Private to
 * lib/schema. It is memory of the compiler, freed when compiling ends; only the nodes are owned by the
 * compiled schema. */
#pragma once

#include <json-c/linkhash.h>

#include "schema/node.h"

/* A schema resource during compilation. */
struct source {
    /* without fragment; absolute only if the document gives an absolute URI */
    const char *uri;
    json_object *root;
    /* NULL: the resource belongs to the document that is compiled */
    const char *document_uri;
    /* name -> struct subschema * */
    struct lh_table *anchors;
    /* the schemas with a $dynamicAnchor, linked by next_dynamic */
    struct subschema *dynamic;
    /* VOCAB_* bits */
    unsigned vocabularies;
    /* its dynamic anchors have been queued for compilation */
    bool used;
    /* owned by the schema */
    struct resource *compiled;
};

/* One schema in a document. */
struct subschema {
    json_object *json;
    struct source *source;
    /* JSON pointer from the root of the document */
    const char *pointer;
    /* NULL until the schema is needed in compiled form */
    struct schema_node *node;
    /* the next schema, in the order of indexing */
    struct subschema *next;
    /* the interned $dynamicAnchor, or NULL */
    const char *dynamic_name;
    struct subschema *next_dynamic;
};

struct schema_compiler {
    const struct schema_options *opt;
    /* talloc parent of what remains after compiling */
    struct schema *schema;
    /* json_object * -> struct subschema * */
    struct lh_table *by_json;
    /* URI -> struct source * */
    struct lh_table *by_uri;
    /* interned names of dynamic anchors */
    struct lh_table *names;
    /* schemas whose node is not filled yet */
    struct subschema **queue;
    size_t queue_count, queue_done;
    /* all indexed schemas */
    struct subschema *first, **end;
    size_t subschema_count;
    /* true for the built-in metaschemas, which are not checked against themselves */
    bool trusted;
    /* SCHEMA_NODES_MAX or the depth of the index was exceeded */
    bool too_large;
    void *problem_ctx;
    struct schema_problems *problems;
};

/* Adds a problem at `keyword` (may be NULL) of `subschema` (NULL: the whole document). */
void compiler_add_problem(struct schema_compiler *c, const struct subschema *subschema, const char *keyword,
                          const char *format, ...) PRINTF_LIKE(4, 5);

/* A new compiler of ctx with an empty c->schema, also of ctx. `opt` may be NULL. */
struct schema_compiler *compiler_new(void *ctx, const struct schema_options *opt,
                                     struct schema_problems *problems);

/* The node of a schema. A new node is queued, to be filled later. */
struct schema_node *compiler_node(struct schema_compiler *c, struct subschema *subschema);
/* The node of the schema `json`, a part of `from` below `keyword`. If `json` is not a schema, adds a problem
 * and returns a node that rejects everything. */
struct schema_node *compiler_node_of_json(struct schema_compiler *c, struct subschema *from,
                                          const char *keyword, json_object *json);
