#include "workflow/program_eval.h"

#include <math.h>
#include <talloc.h>

#include "base/backoff.h"
#include "json/json.h"

/* The value of a template, read-only: not copied if the template is a literal or a single reference. */
static enum err template_value(void *ctx, const struct json_template *t, const struct template_scope *scope,
                               json_object **value_r, const char **why_r)
{
    bool found;
    *why_r = NULL;
    if (template_is_literal(t, value_r))
        return OK;
    *value_r = template_find(ctx, t, scope, &found);
    return found ? OK : template_render(ctx, t, scope, PROGRAM_RESULT_MAX, value_r, why_r);
}

/* Copies a literal of the program. Its elements become part of the run's scope, which any thread may free,
 * and json-c counts references without atomics: the program's own value is shared by all its runs. */
static enum err own_literal(void *ctx, const struct json_template *t, json_object **value_r,
                            const char **why_r)
{
    json_object *literal;
    json_object *copy = NULL;
    if (!template_is_literal(t, &literal) || !literal)
        return OK;
    if (json_object_deep_copy(literal, &copy, NULL) != 0) {
        json_object_put(copy);
        *why_r = "there is not enough memory";
        return ERR_INTERNAL;
    }
    *value_r = json_own(ctx, copy);
    return OK;
}

enum err program_items(void *ctx, const struct program_step *step, const struct template_scope *scope,
                       json_object **array_r, const char **why_r)
{
    enum err e = template_value(ctx, step->for_each, scope, array_r, why_r);
    if (e == OK)
        e = own_literal(ctx, step->for_each, array_r, why_r);
    if (e)
        return e;
    if (!json_object_is_type(*array_r, json_type_array)) {
        *why_r = "for_each is not an array";
        return ERR_INVALID;
    }
    if (json_object_array_length(*array_r) > PROGRAM_ITEMS_MAX) {
        *why_r = talloc_asprintf(ctx, "for_each has %zu items; the maximum is %d",
                                 json_object_array_length(*array_r), PROGRAM_ITEMS_MAX);
        return ERR_LIMIT;
    }
    return OK;
}

enum err program_delay_ms(void *ctx, const struct program_step *step, const struct template_scope *scope,
                          int64_t *ms_r, const char **why_r)
{
    json_object *value;
    enum err e = template_value(ctx, step->seconds, scope, &value, why_r);
    if (e)
        return e;
    bool number = json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
    double seconds = number ? json_object_get_double(value) : NAN;
    if (!(seconds >= 0 && seconds <= PROGRAM_SECONDS_MAX)) {
        *why_r = talloc_asprintf(ctx, "seconds is not a number from 0 to %d", PROGRAM_SECONDS_MAX);
        return ERR_INVALID;
    }
    *ms_r = (int64_t)ceil(seconds * 1000 - 1e-6);
    return OK;
}

int64_t program_backoff_ms(const struct program_step *step, int attempt)
{
    return backoff_ms(step->backoff_ms, attempt, PROGRAM_BACKOFF_SECONDS_MAX * INT64_C(1000));
}

bool program_status_expected(const struct program_step *step, int status)
{
    for (size_t i = 0; i < step->expect_count; i++) {
        if (status >= step->expect[i].from && status <= step->expect[i].to)
            return true;
    }
    return false;
}

enum err program_child_inputs(void *ctx, const struct program_step *step, const struct template_scope *scope,
                              json_object **inputs_r, const char **why_r)
{
    *why_r = NULL;
    if (!step->inputs) {
        *inputs_r = json_own(ctx, json_object_new_object());
        return OK;
    }
    enum err e = template_render(ctx, step->inputs, scope, PROGRAM_RESULT_MAX, inputs_r, why_r);
    if (e || json_object_is_type(*inputs_r, json_type_object))
        return e;
    *why_r = "inputs is not an object";
    return ERR_INVALID;
}

enum err program_outputs(void *ctx, const struct program *program, const struct template_scope *scope,
                         json_object **value_r, const char **why_r)
{
    return template_render(ctx, program->outputs, scope, PROGRAM_RESULT_MAX, value_r, why_r);
}

size_t program_result_size(json_object *result)
{
    return template_json_size_at_depth(result, PROGRAM_RESULT_MAX, PROGRAM_RESULT_DEPTH_MAX);
}

void program_scope_put(json_object *steps, const char *name, const char *status, json_object *result,
                       const char *error)
{
    json_object *view = json_object_new_object();
    json_object_object_add(view, "result", json_object_get(result));
    json_object_object_add(view, "status", json_object_new_string(status));
    json_object_object_add(view, "error", error ? json_object_new_string(error) : NULL);
    json_object_object_add(steps, name, view);
}
