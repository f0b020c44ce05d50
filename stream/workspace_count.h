/* How many streams and waits each workspace has open. Loop thread only. */
#pragma once

#include <stdbool.h>

#include "base/ids.h"

struct workspace_counts;

struct workspace_counts *workspace_counts_new(void *ctx);
/* Counts one more for the workspace, unless it has `max` already. False: it has. */
bool workspace_counts_add(struct workspace_counts *counts, const id *workspace, int max);
/* Counts one less; must have been added. */
void workspace_counts_remove(struct workspace_counts *counts, const id *workspace);
/* Open streams and waits of the workspace. */
int workspace_counts_get(const struct workspace_counts *counts, const id *workspace);
