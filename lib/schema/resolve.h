/* Index of the schemas in a document, and resolution of references: resources ($id), anchors, JSON pointers,
 * other documents. Private to lib/schema. Everything here is memory of the compiler, freed when compiling
 * ends. */
#pragma once

#include <json-c/linkhash.h>

#include "schema/node.h"

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

/* Indexes a whole document, after checking it against its metaschema. Returns NULL if that failed; problems
 * were added. */
struct subschema *resolve_document(struct schema_compiler *c, json_object *root, const char *uri,
                                   bool main_document);
/* The schema that `reference` of `from` leads to; NULL if there is none, and a problem was added. *anchor_r
 * is the fragment if it is a plain name, else NULL. */
struct subschema *resolve_reference(struct schema_compiler *c, struct subschema *from, const char *keyword,
                                    const char *reference, const char **anchor_r);
