#include <string.h>
#include <talloc.h>

#include "base/ids.h"
#include "workflow/program_check.h"
#include "json/json.h"

static const char *const common_fields[] = {
    "name", "type", "if", "for_each", "concurrency", "retry", "timeout_seconds", "on_error", NULL};

typedef void type_check(struct place *p, json_object *document, const char *pointer,
                        struct program_step *step);

/* A member that is `type`, or one reference to such a value; NULL where it is absent or wrong. */
static struct json_template *compile_typed(struct place *p, json_object *document, const char *pointer,
                                           const char *name, json_type type)
{
    struct check *c = p->check;
    json_object *value;
    const char *at;
    if (!check_member(c, document, pointer, name, false, &value, &at))
        return NULL;
    bool fits = json_object_is_type(value, type);
    if (!fits && !json_object_is_type(value, json_type_string)) {
        problems_add(c->problems, at, "must be an %s or one reference",
                     type == json_type_array ? "array" : "object");
        return NULL;
    }
    struct json_template *t = check_template(p, value, TEMPLATE_VALUE, at);
    if (t && !fits && !template_is_reference(t))
        problems_add(c->problems, at, "must be an %s or one reference",
                     type == json_type_array ? "array" : "object");
    return t;
}

static void check_transform(struct place *p, json_object *document, const char *pointer,
                            struct program_step *step)
{
    json_object *value;
    const char *at;
    if (check_member(p->check, document, pointer, "value", true, &value, &at))
        step->value = check_template(p, value, TEMPLATE_VALUE, at);
}

static void check_delay(struct place *p, json_object *document, const char *pointer,
                        struct program_step *step)
{
    json_object *value;
    const char *at;
    int64_t ms;
    if (!check_member(p->check, document, pointer, "seconds", true, &value, &at))
        return;
    bool text = json_object_is_type(value, json_type_string);
    if (!text && !check_seconds(p->check, document, pointer, "seconds", 0, PROGRAM_SECONDS_MAX, &ms))
        return;
    step->seconds = check_template(p, value, TEMPLATE_VALUE, at);
    if (text && step->seconds && !template_is_reference(step->seconds))
        problems_add(p->check->problems, at, "must be a number of seconds from 0 to %d or one reference",
                     PROGRAM_SECONDS_MAX);
}

static void check_fail(struct place *p, json_object *document, const char *pointer, struct program_step *step)
{
    const char *text;
    if (check_text(p->check, document, pointer, "message", &text))
        step->message = check_template(p, json_get(document, "message"), TEMPLATE_TEXT,
                                       check_at(p->check, pointer, "message"));
}

static void check_workflow(struct place *p, json_object *document, const char *pointer,
                           struct program_step *step)
{
    const char *text;
    id workflow_id;
    step->inputs = compile_typed(p, document, pointer, "inputs", json_type_object);
    if (!check_text(p->check, document, pointer, "workflow_id", &text))
        return;
    if (id_parse(text, strlen(text), &workflow_id))
        step->workflow_id = talloc_strdup(p->check->program, workflow_id.text);
    else
        problems_add(p->check->problems, check_at(p->check, pointer, "workflow_id"),
                     "must be a workflow's id, which no reference can give");
}

static void check_skill(struct place *p, json_object *document, const char *pointer,
                        struct program_step *step)
{
    struct check *c = p->check;
    const char *text;
    step->inputs = compile_typed(p, document, pointer, "inputs", json_type_object);
    step->file_source_ids = compile_typed(p, document, pointer, "file_source_ids", json_type_array);
    if (json_object_object_get_ex(document, "model", NULL) &&
        check_text(c, document, pointer, "model", &text))
        step->model =
            check_template(p, json_get(document, "model"), TEMPLATE_TEXT, check_at(c, pointer, "model"));
    if (!check_text(c, document, pointer, "slug", &text))
        return;
    step->slug = talloc_strdup(c->program, text);
    if (strstr(text, "${"))
        problems_add(c->problems, check_at(c, pointer, "slug"),
                     "must be a skill's slug, which no reference can give");
    else if (c->hooks && c->hooks->skill_exists && !c->hooks->skill_exists(c->hooks->arg, text))
        problems_add(c->problems, check_at(c, pointer, "slug"), "there is no skill %s here", text);
}

static const struct {
    const char *name;
    const char *fields[5]; /* NULL-terminated */
    type_check *check;
} types[] = {
    [STEP_HTTP] = {"http", {"request", "expect_status"}, check_request},
    [STEP_TRANSFORM] = {"transform", {"value"}, check_transform},
    [STEP_DELAY] = {"delay", {"seconds"}, check_delay},
    [STEP_FAIL] = {"fail", {"message"}, check_fail},
    [STEP_WORKFLOW] = {"workflow", {"workflow_id", "inputs"}, check_workflow},
    [STEP_SKILL] = {"skill", {"slug", "inputs", "model", "file_source_ids"}, check_skill},
};
enum { TYPE_COUNT = sizeof types / sizeof *types };

/* --- what every step may have --------------------------------------------------------------------------- */

static void check_for_each(struct place *p, json_object *document, const char *pointer,
                           struct program_step *step)
{
    struct check *c = p->check;
    json_object *value = json_get(document, "for_each");
    step->concurrency = 1;
    check_integer(c, document, pointer, "concurrency", 1, PROGRAM_CONCURRENCY_MAX, &step->concurrency);
    if (json_object_object_get_ex(document, "concurrency", NULL) &&
        !json_object_object_get_ex(document, "for_each", NULL))
        problems_add(c->problems, check_at(c, pointer, "concurrency"),
                     "belongs to for_each, which is not here");
    step->for_each = compile_typed(p, document, pointer, "for_each", json_type_array);
    if (json_object_is_type(value, json_type_array) && json_object_array_length(value) > PROGRAM_ITEMS_MAX)
        problems_add(c->problems, check_at(c, pointer, "for_each"), "has more than %d items",
                     PROGRAM_ITEMS_MAX);
}

static void check_if(struct place *p, json_object *document, const char *pointer, struct program_step *step)
{
    json_object *value;
    const char *at;
    struct template_rules rules = check_rules(p);
    if (!check_member(p->check, document, pointer, "if", false, &value, &at))
        return;
    step->condition = condition_compile(p->check->program, value, at, &rules, p->check->problems);
    step->condition_per_item = step->condition && (condition_refers_to(step->condition, REF_ITEM) ||
                                                   condition_refers_to(step->condition, REF_INDEX));
}

static void check_retry(struct check *c, json_object *document, const char *pointer,
                        struct program_step *step)
{
    static const char *const fields[] = {"max_attempts", "backoff_seconds", NULL};
    json_object *retry;
    const char *at;
    step->max_attempts = 1;
    step->backoff_ms = 1000;
    if (!check_member(c, document, pointer, "retry", false, &retry, &at))
        return;
    if (!json_object_is_type(retry, json_type_object)) {
        problems_add(c->problems, at, "must be an object: {\"max_attempts\": 3, \"backoff_seconds\": 1}");
        return;
    }
    check_fields(c, retry, at, fields, NULL);
    check_integer(c, retry, at, "max_attempts", 1, PROGRAM_ATTEMPTS_MAX, &step->max_attempts);
    check_seconds(c, retry, at, "backoff_seconds", 0, PROGRAM_BACKOFF_SECONDS_MAX, &step->backoff_ms);
}

static void check_on_error(struct check *c, json_object *document, const char *pointer,
                           struct program_step *step)
{
    json_object *value;
    const char *at;
    if (!check_member(c, document, pointer, "on_error", false, &value, &at))
        return;
    const char *word = json_get_text(document, "on_error");
    step->continue_on_error = word && strcmp(word, "continue") == 0;
    if (!word || (!step->continue_on_error && strcmp(word, "stop") != 0))
        problems_add(c->problems, at, "must be \"stop\" or \"continue\"");
}

static bool find_type(struct check *c, json_object *document, const char *pointer, struct program_step *step)
{
    const char *name;
    if (!check_text(c, document, pointer, "type", &name))
        return false;
    for (int type = 0; type < TYPE_COUNT; type++) {
        if (strcmp(types[type].name, name) == 0) {
            step->type = (enum step_type)type;
            step->type_name = types[type].name;
            return true;
        }
    }
    problems_add(c->problems, check_at(c, pointer, "type"),
                 "must be one of http, transform, delay, fail, workflow and skill");
    return false;
}

void check_step(struct check *c, size_t index, json_object *document)
{
    struct program_step *step = &c->program->steps[index];
    const char *pointer = talloc_asprintf(c->scratch, "/steps/%zu", index);
    *step = (struct program_step){.index = index, .name = c->names[index]};
    if (!json_object_is_type(document, json_type_object)) {
        problems_add(c->problems, pointer, "a step is an object");
        return;
    }
    struct place place = {.check = c, .step = index};
    check_for_each(&place, document, pointer, step);
    place.in_loop = json_object_object_get_ex(document, "for_each", NULL);
    check_if(&place, document, pointer, step);
    check_retry(c, document, pointer, step);
    check_on_error(c, document, pointer, step);
    check_seconds(c, document, pointer, "timeout_seconds", 0.001, PROGRAM_SECONDS_MAX, &step->timeout_ms);
    if (!find_type(c, document, pointer, step))
        return;
    check_fields(c, document, pointer, common_fields, types[step->type].fields);
    types[step->type].check(&place, document, pointer, step);
}
