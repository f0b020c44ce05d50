/* Fuzzes JSON Schema. Input: [schema, instance...]; input that is no array is taken as a schema. Validation
 * with and without a list of problems must give the same result, and the pointer of each problem must lead to
 * a value. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool held)
{
    if (!held)
        abort();
}

static void need_problems(json_object *root, const struct schema_problems *problems, bool pointers)
{
    need(problems->count > 0 && problems->count <= SCHEMA_PROBLEMS_MAX);
    for (size_t i = 0; i < problems->count; i++) {
        bool found;
        need(problems->items[i].message[0] != '\0');
        json_find(root, problems->items[i].pointer, &found);
        need(found || !pointers);
    }
}

static void try_instance(void *ctx, const struct schema *schema, json_object *instance)
{
    struct schema_problems problems;
    enum err e = schema_validate(ctx, schema, instance, &problems);
    need(e == OK || e == ERR_INVALID || e == ERR_LIMIT);
    if (e == OK)
        need(problems.count == 0);
    else
        need_problems(instance, &problems, true);
    enum err quiet = schema_validate(ctx, schema, instance, NULL);
    need(quiet == e || quiet == ERR_LIMIT || e == ERR_LIMIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *ctx = talloc_new(NULL);
    json_object *doc;
    const char *why;
    struct schema *schema;
    struct schema_problems problems;
    struct schema_options opt = {.assert_formats = size % 2, .budget = 20000};
    if (json_parse(ctx, (const char *)data, size, JSON_DEPTH_MAX, &doc, &why) == OK) {
        bool list = json_object_is_type(doc, json_type_array) && json_object_array_length(doc) > 0;
        json_object *json = list ? json_object_array_get_idx(doc, 0) : doc;
        enum err e = schema_compile(ctx, json, &opt, &schema, &problems);
        need(e == OK || e == ERR_INVALID || e == ERR_LIMIT);
        if (e != OK)
            need_problems(json, &problems, false);
        for (size_t i = 1; e == OK && list && i < json_object_array_length(doc); i++)
            try_instance(ctx, schema, json_object_array_get_idx(doc, i));
        if (e == OK && !list)
            try_instance(ctx, schema, doc);
    }
    talloc_free(ctx);
    return 0;
}
