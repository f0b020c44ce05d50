#include "workflow/program_compile.h"

#include <math.h>
#include <string.h>
#include <talloc.h>

#include "base/ids.h"
#include "workflow/program_step.h"
#include "json/json.h"

/* --- compiling ------------------------------------------------------------------------------------------ */

char *program_step_pointer(void *ctx, const struct program *program, size_t index)
{
    return index < program->main_count ? talloc_asprintf(ctx, "/steps/%zu", index)
                                       : talloc_asprintf(ctx, "/on_failure/%zu", index - program->main_count);
}

static bool step_name_fits(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= PROGRAM_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

/* Records the name of step i. All names are recorded before the first step is compiled, so that references
 * can be checked. */
static void check_step_name(struct program_checker *c, json_object *step, size_t i)
{
    const char *text;
    const char *pointer = program_step_pointer(c->scratch, c->program, i);
    if (!json_object_is_type(step, json_type_object) || !program_check_text(c, step, pointer, "name", &text))
        return;
    const char *at = program_check_at(c, pointer, "name");
    if (!step_name_fits(text)) {
        json_problems_add(c->problems, at, "must consist of 1 to %d letters, digits, _ and -",
                          PROGRAM_NAME_MAX);
        return;
    }
    for (size_t j = 0; j < i; j++) {
        if (c->names[j] && strcmp(c->names[j], text) == 0) {
            json_problems_add(c->problems, at, "%s already has this name",
                              program_step_pointer(c->scratch, c->program, j));
            return;
        }
    }
    c->names[i] = talloc_strdup(c->program, text);
}

/* The number of steps of on_failure, 0 if it is absent or invalid, for a program of `n` other steps. */
static size_t count_failure_steps(struct program_checker *c, json_object *document, size_t n,
                                  json_object **steps_r)
{
    const char *at;
    if (!program_check_member(c, document, "", "on_failure", false, steps_r, &at))
        return 0;
    size_t count = json_object_is_type(*steps_r, json_type_array) ? json_object_array_length(*steps_r) : 0;
    if (count >= 1 && n + count <= PROGRAM_STEPS_MAX)
        return count;
    json_problems_add(c->problems, at, "must be an array of steps; a program has at most %d steps in all",
                      PROGRAM_STEPS_MAX);
    return 0;
}

static json_object *step_document(json_object *steps, json_object *failure, size_t i)
{
    size_t n = json_object_array_length(steps);
    return i < n ? json_object_array_get_idx(steps, i) : json_object_array_get_idx(failure, i - n);
}

static void check_program_steps(struct program_checker *c, json_object *document)
{
    json_object *steps;
    const char *at;
    if (!program_check_member(c, document, "", "steps", true, &steps, &at))
        return;
    size_t n = json_object_is_type(steps, json_type_array) ? json_object_array_length(steps) : 0;
    if (n < 1 || n > PROGRAM_STEPS_MAX) {
        json_problems_add(c->problems, at, "must be an array of 1 to %d steps", PROGRAM_STEPS_MAX);
        return;
    }
    json_object *failure = NULL;
    size_t all = n + count_failure_steps(c, document, n, &failure);
    c->step_count = all;
    c->names = talloc_zero_array(c->program, const char *, all);
    c->program->main_count = n;
    c->program->step_count = all;
    c->program->steps = talloc_zero_array(c->program, struct program_step, all);
    for (size_t i = 0; i < all; i++)
        check_step_name(c, step_document(steps, failure, i), i);
    for (size_t i = 0; i < all; i++)
        program_check_step(c, i, step_document(steps, failure, i));
}

static void check_program_inputs(struct program_checker *c, json_object *document)
{
    json_object *schema;
    const char *at;
    if (!program_check_member(c, document, "", "inputs", false, &schema, &at))
        return;
    struct schema_problems wrong = {0};
    enum err e = schema_compile(c->program, schema, NULL, &c->program->inputs, &wrong);
    for (size_t i = 0; e && i < wrong.count; i++) {
        const char *place = talloc_asprintf(c->scratch, "%s%s", at, wrong.items[i].pointer);
        json_problems_add(c->problems, place, "%s", wrong.items[i].message);
    }
    if (e && !wrong.count)
        json_problems_add(c->problems, at, "the schema is too large");
}

/* Compiles the outputs of the program; the default is the result of the last step. */
static void check_program_outputs(struct program_checker *c, json_object *document)
{
    json_object *outputs;
    const char *at;
    if (!c->step_count)
        return; /* the steps are invalid, which has been reported */
    size_t n = c->program->main_count;
    struct template_place place = {.check = c, .step = n};
    const char *last = c->names[n - 1];
    if (!program_check_member(c, document, "", "outputs", false, &outputs, &at)) {
        if (!last)
            return;
        char *text = talloc_asprintf(c->scratch, "${/steps/%s/result}", last);
        outputs = json_own(c->scratch, json_object_new_string(text));
    }
    c->program->outputs = program_check_template(&place, outputs, TEMPLATE_VALUE, at);
}

/* Reads a number of credits as whole millionths. Up to PROGRAM_CREDITS_MAX a double is exact to 1e-10
 * credits, so a remaining fraction of a millionth was written by the caller. */
static void check_credits_member(struct program_checker *c, json_object *document)
{
    json_object *value;
    const char *at;
    if (!program_check_member(c, document, "", "credits", false, &value, &at))
        return;
    bool number = json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
    double micro = number ? json_object_get_double(value) * 1e6 : NAN;
    if (micro >= 0 && micro <= PROGRAM_CREDITS_MAX * 1e6 && fabs(micro - round(micro)) < 0.01)
        c->program->credits_micro = (int64_t)round(micro);
    else
        json_problems_add(c->problems, at, "must be a number of credits from 0 to %d with at most 6 decimals",
                          PROGRAM_CREDITS_MAX);
}

static void check_program(struct program_checker *c, json_object *document)
{
    static const char *const fields[] = {"inputs",          "steps",   "on_failure", "outputs",
                                         "timeout_seconds", "credits", NULL};
    if (!json_object_is_type(document, json_type_object)) {
        json_problems_add(c->problems, "", "a program must be an object");
        return;
    }
    program_check_fields(c, document, "", fields, NULL);
    check_program_inputs(c, document);
    check_program_steps(c, document);
    check_program_outputs(c, document);
    c->program->timeout_ms = PROGRAM_SECONDS_DEFAULT * 1000;
    program_check_seconds(c, document, "", "timeout_seconds", 1, PROGRAM_SECONDS_MAX,
                          &c->program->timeout_ms);
    check_credits_member(c, document);
}

enum err program_compile(void *ctx, json_object *document, const struct program_hooks *hooks,
                         struct program **program_r, struct json_problems *problems)
{
    struct json_problems *found = problems ? problems : json_problems_new(ctx);
    size_t before = found->total;
    struct program_checker c = {
        .program = talloc_zero(ctx, struct program), .problems = found, .hooks = hooks};
    c.scratch = talloc_new(ctx);
    check_program(&c, document);
    talloc_free(c.scratch);
    bool fine = found->total == before;
    if (!fine)
        TALLOC_FREE(c.program);
    if (!problems)
        talloc_free(found);
    *program_r = c.program;
    return fine ? OK : ERR_INVALID;
}

/* --- children ------------------------------------------------------------------------------------------- */

static bool contains_id(const char *const *ids, size_t count, const char *one)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ids[i], one) == 0)
            return true;
    }
    return false;
}

const char **program_child_workflows(void *ctx, json_object *document, size_t *count_r)
{
    json_object *steps = json_get(document, "steps");
    size_t n = json_object_is_type(steps, json_type_array) ? json_object_array_length(steps) : 0;
    const char **ids = talloc_zero_array(ctx, const char *, n);
    *count_r = 0;
    for (size_t i = 0; i < n; i++) {
        json_object *step = json_object_array_get_idx(steps, i);
        const char *type = json_get_text(step, "type");
        const char *text = json_get_text(step, "workflow_id");
        id child;
        if (type && text && strcmp(type, "workflow") == 0 && id_parse(text, strlen(text), &child) &&
            !contains_id(ids, *count_r, child.text))
            ids[(*count_r)++] = talloc_strdup(ids, child.text);
    }
    return ids;
}
