/* Step type `delay`. The time at which it ends is committed before the wait begins, so that a resumed run
 * only waits for the rest. */
#include "executor/run/workflow/action.h"
#include "workflow/program_eval.h"

static enum err prepare_delay(struct action *a, const char **why_r)
{
    struct template_scope scope = action_scope(a);
    int64_t delay_ms;
    enum err e = program_delay_ms(a, a->step, &scope, &delay_ms, why_r);
    if (e == OK)
        action_set_due_in(a, delay_ms);
    return e;
}

static void end_delay(struct action *a)
{
    action_succeed(a, NULL);
}

const struct step_kind step_delay = {
    .prepare = prepare_delay, .start = end_delay, .timeout_includes_wait = true, .no_effect = true};
