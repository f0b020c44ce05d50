/* Runs of skills that call a model: see model_run.c. */
#pragma once

#include "executor/run/active_run.h"

extern const struct run_kind model_run_kind;
