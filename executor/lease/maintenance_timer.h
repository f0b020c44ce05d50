/* Periodic work that any executor may do: a row a task says when it is due; who locks it first does it. At
 * most 500 rows a transaction. */
#pragma once

#include "executor/context/executor.h"

struct upkeep;
/* Looks once a second, from now on. */
struct upkeep *upkeep_start(void *ctx, struct executor *x);
void upkeep_end(struct upkeep *u);
