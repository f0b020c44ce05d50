#include "workflow/adoption.h"

#include <string.h>
#include <talloc.h>

#include "json/json.h"

/* The step of the old run that `step` adopts; -1: none. A failure is adopted only by a step that may fail. */
static int find_adopted(const struct adopted_step *old, size_t old_n, const struct program_step *step)
{
    for (size_t i = 0; i < old_n; i++) {
        if (strcmp(old[i].name, step->name) != 0)
            continue;
        bool ended = old[i].end == ADOPTED_ENDED || (old[i].end == ADOPTED_FAILED && step->continue_on_error);
        return ended ? (int)i : -1;
    }
    return -1;
}

const char *adoption_plan(void *ctx, const struct adopted_step *old, size_t old_n,
                          const struct program *program, const char *from, struct adoption *a_r)
{
    bool first_failed = strcmp(from, "failed") == 0;
    const struct program_step *steps = program->steps;
    size_t end = 0;
    while (end < program->main_count && (first_failed || strcmp(steps[end].name, from) != 0))
        end++;
    if (end == program->main_count && !first_failed)
        return talloc_asprintf(ctx, "the program has no step %s", from);
    *a_r = (struct adoption){.steps = talloc_array(ctx, int, end + 1)};
    for (size_t i = 0; i < end; i++) {
        int adopted = find_adopted(old, old_n, &steps[i]);
        if (adopted < 0 && first_failed)
            return NULL;
        if (adopted < 0)
            return talloc_asprintf(ctx, "step %s, which is earlier, has not ended in the old execution",
                                   steps[i].name);
        a_r->steps[a_r->n++] = adopted;
    }
    return NULL;
}

json_object *adoption_json(const struct adoption *a)
{
    json_object *steps = json_object_new_array_ext((int)a->n);
    for (size_t i = 0; i < a->n; i++)
        json_object_array_add(steps, json_object_new_int(a->steps[i]));
    json_object *o = json_object_new_object();
    json_object_object_add(o, "of", json_object_new_string(a->of.text));
    json_object_object_add(o, "steps", steps);
    json_object_object_add(o, "items", json_object_new_boolean(a->items));
    return o;
}

bool adoption_read(void *ctx, const char *extra, struct adoption *a_r)
{
    json_object *value = NULL;
    const char *why;
    if (!extra || json_parse_tolerant(ctx, extra, strlen(extra), JSON_DEPTH_MAX, &value, &why) != OK)
        return false;
    json_object *adopt = json_get(value, "adopt");
    json_object *steps = json_get(adopt, "steps");
    const char *of = json_get_text(adopt, "of");
    if (!of || !json_object_is_type(steps, json_type_array))
        return false;
    *a_r = (struct adoption){.n = json_object_array_length(steps),
                             .items = json_object_get_boolean(json_get(adopt, "items"))};
    a_r->steps = talloc_array(ctx, int, a_r->n + 1);
    for (size_t i = 0; i < a_r->n; i++)
        a_r->steps[i] = json_object_get_int(json_object_array_get_idx(steps, i));
    return id_parse(of, strlen(of), &a_r->of);
}
