/* Fuzzes programs: a document compiles or has problems, and a compiled program must survive all functions
 * that a run calls. */
#include <stdlib.h>
#include <talloc.h>

#include "workflow/http_request.h"
#include "workflow/program_compile.h"
#include "workflow/program_eval.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(void *ctx, const struct program *p)
{
    json_object *steps = json_own(ctx, json_object_new_object());
    struct template_scope scope = {.inputs = steps, .steps = steps, .execution = steps};
    json_object *value = NULL;
    const char *why;
    bool holds;
    for (size_t i = 0; i < p->step_count; i++) {
        const struct program_step *s = &p->steps[i];
        enum err e = s->condition ? condition_eval(ctx, s->condition, &scope, &holds, &why) : OK;
        scope.in_loop = s->for_each != NULL;
        if (!e && s->for_each)
            e = program_items(ctx, s, &scope, &value, &why);
        struct http_request request;
        int64_t ms;
        char *text;
        size_t size;
        if (!e && s->type == STEP_TYPE_HTTP)
            e = http_request_render(ctx, s, &scope, &request, &why);
        if (!e && s->type == STEP_TYPE_DELAY)
            e = program_delay_ms(ctx, s, &scope, &ms, &why);
        if (!e && s->type == STEP_TYPE_TRANSFORM)
            e = template_render(ctx, s->value, &scope, PROGRAM_RESULT_MAX, &value, &why);
        if (!e && s->type == STEP_TYPE_WAIT)
            e = template_render_text(ctx, s->signal, &scope, PROGRAM_SIGNAL_MAX + 1, &text, &size, &why);
        if (!e && (s->type == STEP_TYPE_WORKFLOW || s->type == STEP_TYPE_SKILL))
            e = program_child_inputs(ctx, s, &scope, &value, &why);
        program_scope_put(steps, s->name, e ? "failed" : "completed", e || value == steps ? NULL : value,
                          e ? why : NULL);
        scope.in_loop = false;
    }
    if (program_outputs(ctx, p, &scope, &value, &why) == OK &&
        template_json_size(value, PROGRAM_RESULT_MAX) == SIZE_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *ctx = talloc_new(NULL);
    json_object *document;
    const char *why;
    if (json_parse(ctx, (const char *)data, size, JSON_DEPTH_MAX, &document, &why) == OK) {
        struct json_problems *problems = json_problems_new(ctx);
        struct program *p;
        size_t count;
        enum err e = program_compile(ctx, document, NULL, &p, problems);
        if ((e == OK) != (problems->total == 0) || (e == OK) != (p != NULL))
            abort();
        if (p)
            run(ctx, p);
        program_child_workflows(ctx, document, &count);
    }
    talloc_free(ctx);
    return 0;
}
