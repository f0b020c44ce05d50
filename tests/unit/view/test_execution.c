#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "view/execution.h"
#include "json/json.h"
#include "json/json_raw.h"

static const char *const ID = "019bc1a0-7b50-7000-8000-000000000001"; /* 2026-01-15T10:30:00.272Z */

static struct execution sample_execution(void)
{
    struct execution exec = {
        .kind = KIND_WORKFLOW,
        .source = SOURCE_STANDALONE,
        .version = 3,
        .state = STATE_QUEUED,
        .cost = 1500000,
        .updated_ms = 1768473000999,
        .responder_name = "say \"hi\"\n",
        .has_payload = true,
        .input = "{\"a\": 1.50}",
    };
    cr_assert(id_parse(ID, ID_LENGTH, &exec.id));
    exec.workspace_id = exec.responder_id = exec.root_id = exec.id;
    return exec;
}

static json_object *render_view(const struct execution *exec, const struct view_steps *steps,
                                const char **text_r)
{
    void *ctx = talloc_new(NULL);
    struct json_write *w = json_write_new(ctx);
    size_t size;
    json_object *value;
    const char *why;
    view_execution(w, exec, steps);
    const char *text = json_write_result(w, &size);
    cr_assert_eq(json_parse(ctx, text, size, 32, &value, &why), OK, "%s: %s", why, text);
    if (text_r)
        *text_r = text;
    return value;
}

static const char *member_text(json_object *exec, const char *name)
{
    return json_get_text(exec, name);
}

Test(view_execution, shows_a_queued_run)
{
    struct execution exec = sample_execution();
    const char *text;
    json_object *v = render_view(&exec, NULL, &text);
    cr_expect_str_eq(member_text(v, "id"), ID);
    cr_expect_str_eq(member_text(v, "execution_id"), ID);
    cr_expect_str_eq(member_text(v, "status"), "running");
    cr_expect_str_eq(member_text(v, "state"), "queued");
    cr_expect_str_eq(member_text(v, "workflow_name"), "say \"hi\"\n");
    cr_expect_str_eq(member_text(v, "started_at"), member_text(v, "created_at"));
    cr_expect_str_eq(member_text(v, "startedAt"), member_text(v, "createdAt"));
    cr_expect_str_eq(member_text(v, "updatedAt"), "2026-01-15T10:30:00.999Z");
    cr_expect_null(json_get(v, "completed_at"));
    cr_expect_null(json_get(v, "steps"));
    cr_expect_not_null(strstr(text, "\"creditsUsed\":1.5,"));
    cr_expect_not_null(strstr(text, "\"completed_at\":null"));
    cr_expect_not_null(strstr(text, "\"tags\":[],\"metadata\":{}"));
    cr_expect_not_null(strstr(text, "\"input\":{\"a\": 1.50},\"output\":null"), "as it was sent");
}

Test(view_execution, shows_an_ended_run)
{
    struct execution exec = sample_execution();
    exec.state = STATE_FAILED;
    exec.reason = REASON_TIMEOUT;
    exec.error = "too slow";
    exec.refunded = exec.cost;
    exec.started_ms = 1768473001000;
    exec.ended_ms = 1768473002005;
    json_object *v = render_view(&exec, NULL, NULL);
    cr_expect_str_eq(member_text(v, "status"), "failed");
    cr_expect_str_eq(member_text(v, "failure_reason"), "timeout");
    cr_expect_str_eq(member_text(v, "error"), "too slow");
    cr_expect_str_eq(member_text(v, "started_at"), "2026-01-15T10:30:01.000+00:00");
    cr_expect_str_eq(member_text(v, "completed_at"), "2026-01-15T10:30:02.005+00:00");
    cr_expect_str_eq(member_text(v, "endedAt"), "2026-01-15T10:30:02.005Z");
    cr_expect_eq(json_object_get_int(json_get(v, "creditsUsed")), 0);
}

Test(view_execution, shows_a_skill_in_a_list)
{
    struct execution exec = sample_execution();
    exec.kind = KIND_SKILL;
    exec.has_payload = false;
    const char *text;
    json_object *v = render_view(&exec, NULL, &text);
    cr_expect_null(json_get(v, "workflow_id"));
    cr_expect_null(json_get(v, "workflow_name"));
    cr_expect_str_eq(json_get_text(json_get(v, "detail"), "type"), "skill");
    cr_expect_null(strstr(text, "\"input\""));
    cr_expect_null(strstr(text, "\"output\""));
}

Test(view_execution, steps_not_started_are_pending)
{
    struct execution exec = sample_execution();
    struct program_step of[3] = {{.name = "a", .type_name = "http"},
                                 {.name = "b", .type_name = "delay"},
                                 {.name = "c", .type_name = "transform"}};
    struct program program = {.steps = of, .step_count = 3};
    struct execution_step begun[] = {
        {.step = 0,
         .status = STEP_STATUS_COMPLETED,
         .tries = 2,
         .started_ms = 1,
         .completed_ms = 2,
         .result = "{\"n\":1.0}"},
        {.step = 2,
         .status = STEP_STATUS_FAILED,
         .tries = 1,
         .started_ms = 3,
         .completed_ms = 4,
         .error = "no"},
    };
    struct view_steps steps = {&program, begun, 2};
    const char *text;
    json_object *list = json_get(render_view(&exec, &steps, &text), "steps");
    static const char *const statuses[] = {"completed", "pending", "failed"};
    static const char *const names[] = {"a", "b", "c"};
    cr_assert_eq(json_object_array_length(list), 3);
    for (int i = 0; i < 3; i++) {
        json_object *s = json_object_array_get_idx(list, (size_t)i);
        cr_expect_eq(json_object_get_int(json_get(s, "index")), i);
        cr_expect_str_eq(member_text(s, "status"), statuses[i]);
        cr_expect_str_eq(member_text(s, "name"), names[i]);
    }
    cr_expect_not_null(strstr(text, "\"result\":{\"n\":1.0}"));
    /* a program that is gone: by number alone */
    steps.program = NULL;
    cr_assert_eq(json_object_array_length(json_get(render_view(&exec, &steps, NULL), "steps")), 3);
}

Test(view_execution, a_running_step_ends_with_its_run)
{
    static const struct {
        enum run_state state;
        const char *run_error, *status, *error;
    } cases[] = {{STATE_RUNNING, NULL, "running", NULL},
                 {STATE_QUEUED, NULL, "running", NULL},
                 {STATE_STOPPED, NULL, "failed", "the run was stopped"},
                 {STATE_FAILED, "the executor was lost", "failed", "the executor was lost"}};
    struct program_step of = {.name = "a", .type_name = "http"};
    struct program program = {.steps = &of, .step_count = 1};
    struct execution_step begun = {.status = STEP_STATUS_RUNNING, .tries = 3, .started_ms = 1};
    struct view_steps steps = {&program, &begun, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct execution exec = sample_execution();
        exec.state = cases[i].state;
        exec.error = cases[i].run_error;
        exec.ended_ms = state_is_terminal(exec.state) ? 5 : 0;
        json_object *s = json_object_array_get_idx(json_get(render_view(&exec, &steps, NULL), "steps"), 0);
        cr_expect_str_eq(member_text(s, "status"), cases[i].status);
        cr_expect_eq(json_object_get_int(json_get(s, "attempts")), 3);
        cr_expect_eq(json_get(s, "completed_at") != NULL, cases[i].error != NULL);
        if (cases[i].error)
            cr_expect_str_eq(member_text(s, "error"), cases[i].error);
        else
            cr_expect_null(json_get(s, "error"));
    }
}

/* --- what it is written with --- */

Test(json_write, escapes_texts_and_writes_numbers)
{
    struct json_write *w = json_write_new(NULL);
    json_write_open(w, '{');
    json_write_text(w, "a\"b", "\\\b\t\n\f\r\x01\x7f/\xc3\xa9");
    json_write_credits(w, "c", 1);
    json_write_credits(w, "d", -500000);
    json_write_credits(w, "e", 1000000);
    json_write_credits(w, "f", -1230000);
    json_write_int(w, "g", INT64_MIN);
    json_write_close(w, '}');
    cr_assert_str_eq(
        json_write_result(w, NULL),
        "{\"a\\\"b\":\"\\\\\\b\\t\\n\\f\\r\\u0001\\u007f/\xc3\xa9\",\"c\":0.000001,\"d\":-0.5,\"e\":1,"
        "\"f\":-1.23,\"g\":-9223372036854775808}");
}

static const char *find_member(const char *text, const char *name)
{
    const char *at;
    size_t n;
    return json_raw_member(text, strlen(text), name, &at, &n) ? talloc_strndup(NULL, at, n) : NULL;
}

Test(json_raw, finds_raw_members)
{
    const char *text =
        " { \"a\" : {\"b\": [1, \"}\"]} , \"b\":1.50 ,\"c\\\"\":\"x\\\\\",\n\"b\" : -2 , \"\\u0064\":null}";
    cr_expect_str_eq(find_member(text, "a"), "{\"b\": [1, \"}\"]}");
    cr_expect_str_eq(find_member(text, "b"), "-2", "the last of two");
    cr_expect_str_eq(find_member(text, "c\""), "\"x\\\\\"");
    cr_expect_str_eq(find_member(text, "d"), "null", "an escaped name");
    cr_expect_null(find_member(text, "e"));
    cr_expect_null(find_member("[{\"a\":1}]", "a"));
    cr_expect_null(find_member("{}", "a"));
    cr_expect_str_eq(find_member("{\"x\":{\"a\":1},\"a\":[]}", "a"), "[]", "top-level only");
}
