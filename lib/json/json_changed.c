#include "json/json_changed.h"

#include <talloc.h>

#include "json/json.h"
#include "json/json_check.h"

struct finder {
    void *ctx;
    struct json_problems *problems;
};

static const char *pointer_to(void *ctx, const struct json_level *levels, size_t depth)
{
    char *pointer = talloc_strdup(ctx, "");
    for (size_t i = 0; i < depth; i++) {
        const char *token = levels[i].names ? levels[i].name : talloc_asprintf(ctx, "%zu", levels[i].index);
        pointer = json_pointer_join(ctx, pointer, token);
    }
    return pointer;
}

static void add_place(void *arg, const struct json_level *levels, size_t depth, const char *half)
{
    struct finder *f = arg;
    void *scratch = talloc_new(f->ctx);
    bool has_room = f->problems->count < JSON_PROBLEMS_MAX; /* otherwise it is only counted */
    const char *pointer = has_room ? pointer_to(scratch, levels, depth) : "";
    if (half)
        json_problems_add(f->problems, pointer, "has the escape %.6s, which is half of a surrogate pair",
                          half);
    else
        json_problems_add(f->problems, pointer, "stands twice in one object");
    talloc_free(scratch);
}

void json_find_changed(void *ctx, const char *text, size_t size, struct json_problems *problems)
{
    struct finder f = {ctx, problems};
    json_check_places(ctx, text, size, add_place, &f);
}
