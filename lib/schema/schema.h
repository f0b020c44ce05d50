/* JSON Schema, draft 2020-12. A schema is compiled once and then validates any number of instances.
 *
 * Compiling checks the schema against its metaschema, resolves all references (within the document, the
 * built-in metaschemas and the given registry, never over the network) and compiles the patterns. A compiled
 * schema owns everything it needs, is immutable, and may be used by several threads at once.
 *
 * Schema and instance may be hostile: nesting, the number of schemas, the work of one validation and of one
 * regular expression are limited, and an endless loop of references ends as ERR_LIMIT. */
#pragma once

#include "json/json.h"

enum {
    /* problems that are recorded; further ones are dropped */
    SCHEMA_PROBLEMS_MAX = 100,
    /* units of work of one validation: about one for each keyword checked on each value, some 50 ms in all.
     * Work that depends on the size of values is charged by that size. */
    SCHEMA_BUDGET_DEFAULT = 1000000,
    /* units of a struct budget, of 5 ns, for one unit of work of a validation */
    SCHEMA_CHECK_UNITS = 10,
    /* nested evaluations of schemas, including those through references */
    SCHEMA_DEPTH_MAX = 1000,
    /* schemas in one compiled schema, including those of referenced documents */
    SCHEMA_NODES_MAX = 50000,
    /* bytes of a document in a registry */
    SCHEMA_FILE_MAX = 4 * 1024 * 1024
};

struct schema;
struct schema_registry;

/* One problem and its place. `pointer` is a JSON pointer: after a validation into the instance, after a
 * compilation into the schema document. A problem in a referenced document has the pointer "" and names that
 * document's URI in the message. */
struct schema_problem {
    const char *pointer;
    const char *message;
};

struct schema_problems {
    struct schema_problem *items;
    size_t count;
};

struct schema_options {
    /* NULL: no registry */
    const struct schema_registry *registry;
    /* `format` is an assertion; if false, only where the metaschema requires it */
    bool assert_formats;
    /* units of work of one validation; 0: SCHEMA_BUDGET_DEFAULT */
    long budget;
};

/* A registry maps URI prefixes to folders; it is owned by ctx and copies its texts. Files are read only when
 * a reference needs them. Fill it before its first use; afterwards it is read-only and several threads may
 * share it. */
struct schema_registry *schema_registry_new(void *ctx);
void schema_registry_add(struct schema_registry *registry, const char *prefix, const char *dir);

/* Compiles a copy of `document` into *schema_r, owned by ctx. `opt` may be NULL. ERR_INVALID if the document
 * is not a valid schema (*problems_r, of ctx, says why); ERR_LIMIT if it is too large; ERR_INTERNAL if memory
 * ran out. */
enum err schema_compile(void *ctx, json_object *document, const struct schema_options *opt,
                        struct schema **schema_r, struct schema_problems *problems_r) WARN_UNUSED;

/* Validates an instance. ERR_INVALID with at least one problem (of ctx); ERR_LIMIT, with one problem that
 * names the limit and the value at which it was reached, if the budget or the depth was exceeded. If only the
 * result matters, pass NULL as `problems_r`: that is cheaper. */
enum err schema_validate(void *ctx, const struct schema *schema, json_object *instance,
                         struct schema_problems *problems_r) WARN_UNUSED;
/* The same with at most `budget` units of work, for a caller who must prepare for a longer validation. */
enum err schema_validate_within(void *ctx, const struct schema *schema, json_object *instance, long budget,
                                struct schema_problems *problems_r) WARN_UNUSED;
/* The same where several validations share one budget, which has SCHEMA_CHECK_UNITS for each unit of work.
 * Without a problem, and at once, if the budget is exceeded already. */
enum err schema_validate_sharing(void *ctx, const struct schema *schema, json_object *instance,
                                 struct budget *budget, struct schema_problems *problems_r) WARN_UNUSED;
