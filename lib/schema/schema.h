/* JSON Schema, draft 2020-12: a schema is compiled once and then validates any number of instances.
 *
 * Compiling checks the schema against its metaschema, resolves every reference (within the document, the
 * built-in metaschemas and the registry given; never the network) and compiles the patterns. A compiled
 * schema owns all it needs, is never written to again, and may be used by several threads at once.
 *
 * Both sides may be hostile: nesting, the number of schemas, the work of one validation and of one regular
 * expression are bounded, and an endless loop of references ends as ERR_LIMIT. */
#pragma once

#include "json/json.h"

enum {
    SCHEMA_PROBLEMS_MAX = 100,       /* violations told; the instance is invalid all the same */
    SCHEMA_BUDGET_DEFAULT = 1000000, /* about one unit for each keyword on each value: some 50 ms */
    SCHEMA_DEPTH_MAX = 1000,         /* schemas within schemas while validating, references counted */
    SCHEMA_NODES_MAX = 50000,        /* schemas in one compiled schema, referenced documents included */
    SCHEMA_FILE_MAX = 4 * 1024 * 1024
};

struct schema;
struct schema_registry;

/* What is wrong and where. In a validation `pointer` is a JSON pointer into the instance, in a compilation
 * into the schema document (problems of another document have "" and name that document's URI in the
 * message). */
struct schema_problem {
    const char *pointer;
    const char *message;
};

struct schema_problems {
    struct schema_problem *items;
    size_t count;
};

struct schema_options {
    const struct schema_registry *registry; /* NULL: none */
    bool assert_formats; /* `format` decides; otherwise only where the metaschema says so */
    long budget;         /* of one validation; 0: SCHEMA_BUDGET_DEFAULT */
};

/* A registry maps URI prefixes to folders. Nothing is read until a reference needs it. Fill it before use;
 * then it is only read and may be shared by threads. */
struct schema_registry *schema_registry_new(void *ctx);
void schema_registry_add(struct schema_registry *registry, const char *prefix, const char *dir);

/* OK; ERR_INVALID when `document` is no usable schema: *problems_r says why (memory of ctx); ERR_LIMIT when
 * it is too large. `opt` may be NULL. The document is copied, the caller keeps it. *schema_r is owned by ctx.
 */
enum err schema_compile(void *ctx, json_object *document, const struct schema_options *opt,
                        struct schema **schema_r, struct schema_problems *problems_r) WARN_UNUSED;

/* OK; ERR_INVALID with at least one problem (memory of ctx); ERR_LIMIT when the budget was used up or the
 * evaluation went too deep, with one problem that says so. `problems_r` may be NULL when only the answer
 * counts: cheaper. */
enum err schema_validate(void *ctx, const struct schema *schema, json_object *instance,
                         struct schema_problems *problems_r) WARN_UNUSED;
