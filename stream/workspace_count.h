/* How many streams and waits each workspace has open, and how many bytes of responses to calls they hold.
 * Loop thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

struct workspace_counts;

struct workspace_counts *workspace_counts_new(void *ctx);
/* Counts one more for the workspace, unless it has `max` already. False: it has. */
bool workspace_counts_add(struct workspace_counts *counts, const id *workspace, int max);
/* Counts one less; must have been added, and the last one must have released its bytes. */
void workspace_counts_remove(struct workspace_counts *counts, const id *workspace);
/* Open streams and waits of the workspace. */
int workspace_counts_get(const struct workspace_counts *counts, const id *workspace);
/* Counts bytes for the workspace, which must have been added, unless it would hold more than `max`, or all
 * workspaces together more than `max_all`. False: they would. */
bool workspace_counts_hold(struct workspace_counts *counts, const id *workspace, size_t bytes, size_t max,
                           size_t max_all);
/* Counts bytes off that were counted by workspace_counts_hold. */
void workspace_counts_release(struct workspace_counts *counts, const id *workspace, size_t bytes);
/* Bytes of all workspaces. */
size_t workspace_counts_held(const struct workspace_counts *counts);
