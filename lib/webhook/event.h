/* The names of the events that webhooks send: "execution.succeeded" … */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "outbox/outbox.h"

/* Static memory; NULL for a number outside the enum. */
const char *webhook_event_name(enum webhook_event event);
/* Finds an event by its name among those of the set `allowed` (bits of lib/outbox/outbox.h); *bit_r is its
 * bit. False: there is none. */
bool webhook_event_find(const char *name, uint32_t allowed, uint32_t *bit_r);
/* The names of a set, separated by ", "; of ctx. */
const char *webhook_event_names(void *ctx, uint32_t events);
