#include "executor/run_model.h"

void model_begin(struct flow *f)
{
    flow_fail(f, REASON_INTERNAL, "this executor calls no models");
}

void model_go_on(struct flow *f)
{
    (void)f;
}

void model_drop(struct flow *f)
{
    (void)f;
}

bool model_in_the_middle(const struct flow *f)
{
    (void)f;
    return false;
}

bool model_may_rest(const struct flow *f)
{
    (void)f;
    return false;
}
