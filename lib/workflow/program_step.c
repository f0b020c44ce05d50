#include "workflow/program_step.h"

#include <string.h>
#include <talloc.h>

#include "base/ids.h"
#include "workflow/program_request.h"
#include "json/json.h"

static const char *const common_fields[] = {
    "name",     "type",          "if", "for_each", "concurrency", "retry", "timeout_seconds",
    "on_error", "on_item_error", NULL};

typedef void step_type_check(struct template_place *p, json_object *document, const char *pointer,
                             struct program_step *step);

/* Compiles a member that must be of `type` or a single reference. NULL if it is absent or invalid. */
static struct json_template *compile_typed(struct template_place *p, json_object *document,
                                           const char *pointer, const char *name, json_type type)
{
    struct program_checker *c = p->check;
    json_object *value;
    const char *at;
    if (!program_check_member(c, document, pointer, name, false, &value, &at))
        return NULL;
    bool fits = json_object_is_type(value, type);
    if (!fits && !json_object_is_type(value, json_type_string)) {
        json_problems_add(c->problems, at, "must be an %s or one reference",
                          type == json_type_array ? "array" : "object");
        return NULL;
    }
    struct json_template *t = program_check_template(p, value, TEMPLATE_VALUE, at);
    if (t && !fits && !template_is_reference(t))
        json_problems_add(c->problems, at, "must be an %s or one reference",
                          type == json_type_array ? "array" : "object");
    return t;
}

static void check_transform(struct template_place *p, json_object *document, const char *pointer,
                            struct program_step *step)
{
    json_object *value;
    const char *at;
    if (program_check_member(p->check, document, pointer, "value", true, &value, &at))
        step->value = program_check_template(p, value, TEMPLATE_VALUE, at);
}

static void check_delay(struct template_place *p, json_object *document, const char *pointer,
                        struct program_step *step)
{
    json_object *value;
    const char *at;
    int64_t ms;
    if (!program_check_member(p->check, document, pointer, "seconds", true, &value, &at))
        return;
    bool text = json_object_is_type(value, json_type_string);
    if (!text && !program_check_seconds(p->check, document, pointer, "seconds", 0, PROGRAM_SECONDS_MAX, &ms))
        return;
    step->seconds = program_check_template(p, value, TEMPLATE_VALUE, at);
    if (text && step->seconds && !template_is_reference(step->seconds))
        json_problems_add(p->check->problems, at, "must be a number of seconds from 0 to %d or one reference",
                          PROGRAM_SECONDS_MAX);
}

static void check_fail(struct template_place *p, json_object *document, const char *pointer,
                       struct program_step *step)
{
    const char *text;
    if (program_check_text(p->check, document, pointer, "message", &text))
        step->message = program_check_template(p, json_get(document, "message"), TEMPLATE_TEXT,
                                               program_check_at(p->check, pointer, "message"));
}

/* Compiles the schema of a member into the program. */
static void check_schema_member(struct program_checker *c, json_object *document, const char *pointer,
                                struct schema **schema_r)
{
    json_object *value;
    const char *at;
    if (!program_check_member(c, document, pointer, "schema", false, &value, &at))
        return;
    struct schema_problems wrong = {0};
    enum err e = schema_compile(c->program, value, NULL, schema_r, &wrong);
    for (size_t i = 0; e && i < wrong.count; i++)
        json_problems_add(c->problems, talloc_asprintf(c->scratch, "%s%s", at, wrong.items[i].pointer), "%s",
                          wrong.items[i].message);
    if (e && !wrong.count)
        json_problems_add(c->problems, at, "the schema is too large");
}

bool program_is_signal_name(const char *name, size_t size)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    return size >= 1 && size <= PROGRAM_SIGNAL_MAX && strspn(name, allowed) == size;
}

static void check_wait(struct template_place *p, json_object *document, const char *pointer,
                       struct program_step *step)
{
    struct program_checker *c = p->check;
    const char *text;
    if (program_check_text(c, document, pointer, "signal", &text)) {
        const char *at = program_check_at(c, pointer, "signal");
        step->signal = program_check_template(p, json_get(document, "signal"), TEMPLATE_TEXT, at);
        if (!strstr(text, "${") && !program_is_signal_name(text, strlen(text)))
            json_problems_add(c->problems, at, "must be 1 to %d letters, digits, _, - and .",
                              PROGRAM_SIGNAL_MAX);
    }
    if (json_object_object_get_ex(document, "message", NULL) &&
        program_check_text(c, document, pointer, "message", &text))
        step->message = program_check_template(p, json_get(document, "message"), TEMPLATE_TEXT,
                                               program_check_at(c, pointer, "message"));
    check_schema_member(c, document, pointer, &step->signal_schema);
    if (!json_object_object_get_ex(document, "timeout_seconds", NULL))
        json_problems_add(c->problems, program_check_at(c, pointer, "timeout_seconds"),
                          "is required: a number of seconds up to %d", PROGRAM_WAIT_SECONDS_MAX);
    if (json_object_object_get_ex(document, "retry", NULL))
        json_problems_add(c->problems, program_check_at(c, pointer, "retry"),
                          "is not allowed: a wait has one attempt");
}

static void check_workflow(struct template_place *p, json_object *document, const char *pointer,
                           struct program_step *step)
{
    const char *text;
    id workflow_id;
    step->inputs = compile_typed(p, document, pointer, "inputs", json_type_object);
    if (!program_check_text(p->check, document, pointer, "workflow_id", &text))
        return;
    if (id_parse(text, strlen(text), &workflow_id))
        step->workflow_id = talloc_strdup(p->check->program, workflow_id.text);
    else
        json_problems_add(p->check->problems, program_check_at(p->check, pointer, "workflow_id"),
                          "must be the id of a workflow; references are not allowed here");
}

static void check_skill(struct template_place *p, json_object *document, const char *pointer,
                        struct program_step *step)
{
    struct program_checker *c = p->check;
    const char *text;
    step->inputs = compile_typed(p, document, pointer, "inputs", json_type_object);
    step->file_source_ids = compile_typed(p, document, pointer, "file_source_ids", json_type_array);
    if (json_object_object_get_ex(document, "model", NULL) &&
        program_check_text(c, document, pointer, "model", &text))
        step->model = program_check_template(p, json_get(document, "model"), TEMPLATE_TEXT,
                                             program_check_at(c, pointer, "model"));
    if (!program_check_text(c, document, pointer, "slug", &text))
        return;
    step->slug = talloc_strdup(c->program, text);
    if (strstr(text, "${"))
        json_problems_add(c->problems, program_check_at(c, pointer, "slug"),
                          "must be the slug of a skill; references are not allowed here");
    else if (c->hooks && c->hooks->skill_exists && !c->hooks->skill_exists(c->hooks->arg, text))
        json_problems_add(c->problems, program_check_at(c, pointer, "slug"),
                          "there is no skill %s in this workspace", text);
}

static void check_http(struct template_place *p, json_object *document, const char *pointer,
                       struct program_step *step)
{
    program_check_request(p, document, pointer, step);
}

#define STEP_TYPE_ROW(NAME, name, ...) {#name, {__VA_ARGS__}, check_##name},
static const struct {
    const char *name;
    /* NULL-terminated */
    const char *fields[5];
    step_type_check *check;
} step_types[] = {STEP_TYPE_ROWS(STEP_TYPE_ROW)};
#undef STEP_TYPE_ROW

/* "http, transform, … and skill", of ctx */
static const char *step_type_names(void *ctx)
{
    char *names = talloc_strdup(ctx, step_types[0].name);
    for (int type = 1; type < STEP_TYPES; type++)
        names = talloc_asprintf_append(names, "%s%s", type == STEP_TYPES - 1 ? " and " : ", ",
                                       step_types[type].name);
    return names;
}

/* --- fields of every step ------------------------------------------------------------------------------- */

static void check_for_each(struct template_place *p, json_object *document, const char *pointer,
                           struct program_step *step)
{
    struct program_checker *c = p->check;
    json_object *value = json_get(document, "for_each");
    step->concurrency = 1;
    program_check_integer(c, document, pointer, "concurrency", 1, PROGRAM_CONCURRENCY_MAX,
                          &step->concurrency);
    if (json_object_object_get_ex(document, "concurrency", NULL) &&
        !json_object_object_get_ex(document, "for_each", NULL))
        json_problems_add(c->problems, program_check_at(c, pointer, "concurrency"),
                          "is allowed only together with for_each");
    step->for_each = compile_typed(p, document, pointer, "for_each", json_type_array);
    if (json_object_is_type(value, json_type_array) && json_object_array_length(value) > PROGRAM_ITEMS_MAX)
        json_problems_add(c->problems, program_check_at(c, pointer, "for_each"), "has more than %d items",
                          PROGRAM_ITEMS_MAX);
}

static void check_if(struct template_place *p, json_object *document, const char *pointer,
                     struct program_step *step)
{
    json_object *value;
    const char *at;
    struct template_rules rules = program_check_rules(p);
    if (!program_check_member(p->check, document, pointer, "if", false, &value, &at))
        return;
    step->condition = condition_compile(p->check->program, value, at, &rules, p->check->problems);
    step->condition_per_item = step->condition && (condition_refers_to(step->condition, REF_ITEM) ||
                                                   condition_refers_to(step->condition, REF_INDEX));
}

static void check_retry(struct program_checker *c, json_object *document, const char *pointer,
                        struct program_step *step)
{
    static const char *const fields[] = {"max_attempts", "backoff_seconds", NULL};
    json_object *retry;
    const char *at;
    step->max_attempts = 1;
    step->backoff_ms = 1000;
    if (!program_check_member(c, document, pointer, "retry", false, &retry, &at))
        return;
    if (!json_object_is_type(retry, json_type_object)) {
        json_problems_add(c->problems, at,
                          "must be an object: {\"max_attempts\": 3, \"backoff_seconds\": 1}");
        return;
    }
    program_check_fields(c, retry, at, fields, NULL);
    program_check_integer(c, retry, at, "max_attempts", 1, PROGRAM_ATTEMPTS_MAX, &step->max_attempts);
    program_check_seconds(c, retry, at, "backoff_seconds", 0, PROGRAM_BACKOFF_SECONDS_MAX, &step->backoff_ms);
}

/* A member that is "stop" or "continue". */
static void check_stop_or_continue(struct program_checker *c, json_object *document, const char *pointer,
                                   const char *name, bool *continue_r)
{
    json_object *value;
    const char *at;
    if (!program_check_member(c, document, pointer, name, false, &value, &at))
        return;
    const char *word = json_get_text(document, name);
    *continue_r = word && strcmp(word, "continue") == 0;
    if (!word || (!*continue_r && strcmp(word, "stop") != 0))
        json_problems_add(c->problems, at, "must be \"stop\" or \"continue\"");
}

static void check_on_error(struct program_checker *c, json_object *document, const char *pointer,
                           struct program_step *step)
{
    check_stop_or_continue(c, document, pointer, "on_error", &step->continue_on_error);
    check_stop_or_continue(c, document, pointer, "on_item_error", &step->continue_on_item_error);
    if (json_object_object_get_ex(document, "on_item_error", NULL) &&
        !json_object_object_get_ex(document, "for_each", NULL))
        json_problems_add(c->problems, program_check_at(c, pointer, "on_item_error"),
                          "is allowed only together with for_each");
}

static bool find_step_type(struct program_checker *c, json_object *document, const char *pointer,
                           struct program_step *step)
{
    const char *name;
    if (!program_check_text(c, document, pointer, "type", &name))
        return false;
    for (int type = 0; type < STEP_TYPES; type++) {
        if (strcmp(step_types[type].name, name) == 0) {
            step->type = (enum step_type)type;
            step->type_name = step_types[type].name;
            return true;
        }
    }
    json_problems_add(c->problems, program_check_at(c, pointer, "type"), "must be one of %s",
                      step_type_names(c->scratch));
    return false;
}

void program_check_step(struct program_checker *c, size_t index, json_object *document)
{
    struct program_step *step = &c->program->steps[index];
    const char *pointer = program_step_pointer(c->scratch, c->program, index);
    *step = (struct program_step){.index = index, .name = c->names[index]};
    if (!json_object_is_type(document, json_type_object)) {
        json_problems_add(c->problems, pointer, "a step must be an object");
        return;
    }
    struct template_place place = {.check = c, .step = index, .in_failure = index >= c->program->main_count};
    check_for_each(&place, document, pointer, step);
    place.in_loop = json_object_object_get_ex(document, "for_each", NULL);
    check_if(&place, document, pointer, step);
    check_retry(c, document, pointer, step);
    check_on_error(c, document, pointer, step);
    bool is_known = find_step_type(c, document, pointer, step);
    bool is_wait = is_known && step->type == STEP_TYPE_WAIT;
    program_check_seconds(c, document, pointer, "timeout_seconds", 0.001,
                          is_wait ? PROGRAM_WAIT_SECONDS_MAX : PROGRAM_SECONDS_MAX, &step->timeout_ms);
    if (!is_known)
        return;
    program_check_fields(c, document, pointer, common_fields, step_types[step->type].fields);
    step_types[step->type].check(&place, document, pointer, step);
}
