/* Where the schemas of a document are, and where a reference leads: resources ($id), anchors, JSON pointers,
 * other documents. Inner: used by the compiler, in memory that goes when compiling ends. */
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

/* A resource while compiling. */
struct source {
    const char *uri; /* absolute where the document says so; no fragment */
    json_object *root;
    const char *document_uri;  /* NULL: of the document that is compiled */
    struct lh_table *anchors;  /* name -> struct subschema * */
    struct subschema *dynamic; /* list through next_dynamic */
    unsigned vocabularies;
    bool used;
    struct resource *compiled; /* in the schema's memory */
};

/* One schema in a document. */
struct subschema {
    json_object *json;
    struct source *source;
    const char *pointer;      /* from the document's root */
    struct schema_node *node; /* NULL until something wants it compiled */
    struct subschema *next;   /* in the order of the document */
    const char *dynamic_name;
    struct subschema *next_dynamic;
};

struct schema_compiler {
    const struct schema_options *opt;
    struct schema *schema;    /* talloc parent of what remains */
    struct lh_table *by_json; /* json_object * -> struct subschema * */
    struct lh_table *by_uri;  /* URI -> struct source * */
    struct lh_table *names;   /* interned names of dynamic anchors */
    struct subschema **queue; /* places whose node waits to be filled */
    size_t queue_count, queue_done;
    struct subschema *first, **end; /* all places of the main document, in its order */
    size_t subschema_count;
    bool trusted; /* the built-in metaschemas: not checked against themselves */
    bool too_large;
    void *problem_ctx;
    struct schema_problems *problems;
};

/* Tells a problem at `subschema` (NULL: the whole document); `keyword` may be NULL. */
void compiler_add_problem(struct schema_compiler *c, const struct subschema *subschema, const char *keyword,
                          const char *format, ...) PRINTF_LIKE(4, 5);

/* Indexes a whole document (and checks it against its metaschema); NULL when that was impossible, and told.
 */
struct subschema *resolve_document(struct schema_compiler *c, json_object *root, const char *uri,
                                   bool main_document);
/* The schema that `reference`, standing at `from`, leads to; NULL when told. *anchor_r: the fragment if it is
 * a plain name, else NULL. */
struct subschema *resolve_reference(struct schema_compiler *c, struct subschema *from, const char *keyword,
                                    const char *reference, const char **anchor_r);
