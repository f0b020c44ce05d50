/* Step type `transform`: renders a template; no side effect. */
#include "executor/run/workflow/action.h"

static enum err evaluate_transform(void *ctx, const struct program_step *step,
                                   const struct template_scope *scope, json_object **result_r,
                                   const char **why_r)
{
    return template_render(ctx, step->value, scope, PROGRAM_RESULT_MAX, result_r, why_r);
}

const struct step_kind step_transform = {.evaluate = evaluate_transform};
