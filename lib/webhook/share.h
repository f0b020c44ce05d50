/* How many requests each workspace has in flight in a process, and how many more it may begin. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

struct webhook_shares;

struct webhook_shares *webhook_shares_new(void *ctx);
/* The requests that the workspace has in flight. */
size_t webhook_share_used(const struct webhook_shares *s, const id *workspace);
/* How many more it may begin while `free` places are free: one after the other, as long as it has fewer than
 * are free then. */
size_t webhook_share_room(const struct webhook_shares *s, const id *workspace, size_t free);
void webhook_share_add(struct webhook_shares *s, const id *workspace, size_t n);
void webhook_share_remove(struct webhook_shares *s, const id *workspace, size_t n);
