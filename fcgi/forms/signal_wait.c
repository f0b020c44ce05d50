#include "fcgi/forms/signal_wait.h"

#include <string.h>
#include <talloc.h>

#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/form.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "store/workflow.h"

bool signal_name_is_valid(struct request *r, const char *name)
{
    return program_is_signal_name(name, strlen(name)) ||
           form_reject_value(r, "The name of the signal", "1 to 64 letters, digits, _, - and .");
}

const char *signal_wait_literal(void *ctx, const struct json_template *text)
{
    static const struct template_scope nothing;
    const char *why;
    char *out;
    size_t size;
    /* a reference finds nothing */
    if (!text || template_render_text(ctx, text, &nothing, PROGRAM_MESSAGE_MAX, &out, &size, &why) != OK)
        return NULL;
    return out;
}

static const struct program_step *find_by_name(struct request *r, const struct program *program,
                                               const char *name)
{
    for (size_t i = 0; i < program->step_count; i++) {
        const struct program_step *step = &program->steps[i];
        const char *signal = step->type == STEP_TYPE_WAIT ? signal_wait_literal(r, step->signal) : NULL;
        if (signal && strcmp(signal, name) == 0)
            return step;
    }
    return NULL;
}

enum err signal_wait_find(struct request *r, const id *workflow, int version, const char *name, int step,
                          const struct program **program_r, const struct program_step **step_r)
{
    const struct compiled *compiled;
    enum err e = workflow_cache_compiled(r, workflow, version, &compiled);
    *program_r = NULL;
    *step_r = NULL;
    if (e != OK)
        return e;
    *program_r = compiled->program;
    if (step < 0)
        *step_r = find_by_name(r, compiled->program, name);
    else if ((size_t)step < compiled->program->step_count)
        *step_r = &compiled->program->steps[step];
    return OK;
}

enum err signal_wait_schema(struct request *r, const id *workflow, int version, const struct program *program,
                            const struct program_step *step, json_object **schema_r)
{
    const char *text, *why;
    size_t size;
    json_object *document;
    bool found;
    *schema_r = NULL;
    if (!step || !step->signal_schema)
        return OK;
    enum err e =
        workflow_get_program(r->app->db, r, &r->access.workspace_id, workflow, version, &text, &size);
    if (e == OK && size > SLOW_JSON_BYTES && !slow_try(r))
        return ERR_RETRY;
    if (e == OK)
        e = json_parse_tolerant(r, text, size, JSON_DEPTH_MAX, &document, &why);
    if (e != OK)
        return e;
    char *pointer = talloc_asprintf(r, "%s/schema", program_step_pointer(r, program, step->index));
    *schema_r = json_find(document, pointer, &found);
    return OK;
}
