/* `delay`: its end is a moment that is committed before the wait begins, so that a resumed run waits for the
 * rest only. */
#include "executor/run/workflow/action.h"

static enum err prepare(struct act *a, const char **why_r)
{
    struct template_scope scope = act_scope(a);
    int64_t delay_ms;
    enum err e = program_delay_ms(a, a->step, &scope, &delay_ms, why_r);
    if (e == OK)
        act_due_in(a, delay_ms);
    return e;
}

static void start(struct act *a)
{
    act_succeed(a, NULL);
}

const struct step_kind step_delay = {.prepare = prepare, .start = start, .waits_first = true};
