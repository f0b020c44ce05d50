#include "executor/run/claim_copy.h"

#include <string.h>
#include <talloc.h>

#include "workflow/template.h"

json_object *claim_json(void *ctx, const char *text, json_object *otherwise)
{
    json_object *value;
    const char *why;
    if (text && json_parse_tolerant(ctx, text, strlen(text), TEMPLATE_DEPTH_MAX, &value, &why) == OK) {
        json_object_put(otherwise);
        return value;
    }
    return otherwise ? json_own(ctx, otherwise) : NULL;
}

const struct stored_step *claim_steps(void *ctx, const struct claimed_run *c)
{
    struct stored_step *copies = talloc_array(ctx, struct stored_step, c->steps_n);
    for (size_t i = 0; i < c->steps_n; i++) {
        copies[i] = c->steps[i];
        copies[i].result = copies[i].result ? talloc_strdup(copies, copies[i].result) : NULL;
        copies[i].error = copies[i].error ? talloc_strdup(copies, copies[i].error) : NULL;
    }
    return copies;
}

const struct given_signal *claim_signals(void *ctx, const struct claimed_run *c)
{
    struct given_signal *copies = talloc_array(ctx, struct given_signal, c->signals_n);
    for (size_t i = 0; i < c->signals_n; i++) {
        copies[i] = c->signals[i];
        copies[i].name = talloc_strdup(copies, copies[i].name);
        copies[i].data = copies[i].data ? talloc_strdup(copies, copies[i].data) : NULL;
        copies[i].sender = talloc_strdup(copies, copies[i].sender);
    }
    return copies;
}
