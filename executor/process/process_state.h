/* What an executor process writes to its log on SIGUSR2. docs/operations.md has the fields. */
#pragma once

#include "executor/context/executor.h"
#include "service/state_dump.h"

/* Adds the executor's lines to `dump`. */
void process_state_add(struct state_dump *dump, struct executor *exec);
