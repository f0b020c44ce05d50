/* Runs of skills that call a model: see run_model.c. The functions are those of a kind of flow. */
#pragma once

#include "executor/flow.h"

struct model_run;

void model_begin(struct flow *f);
void model_go_on(struct flow *f);
void model_written(struct flow *f, const struct commit *c);
void model_break_off(struct flow *f);
void model_drop(struct flow *f);
bool model_in_the_middle(const struct flow *f);
bool model_may_rest(const struct flow *f);
