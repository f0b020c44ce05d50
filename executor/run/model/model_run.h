/* The run of a model, which is one kind of skill. The model is asked in rounds. If its answer calls tools,
 * which are other skills of the workspace, each call becomes a child execution, and the results are sent with
 * the next request. If it calls none, the answer holds the outputs.
 *
 * Each answer is stored as a row of the run's steps, before its tools are called. A run that is resumed
 * continues from the stored answers and asks no question twice. */
#pragma once

#include "executor/run/active_run.h"

extern const struct run_kind model_run_kind;
