/* One event of a run as the one JSON object that clients read: {execution_id, seq, type, at, data}. Made for
 * the channel in Redis and for the stream alike, so that both are the same bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "run/states.h"

/* The text, a talloc string of ctx. `data` is a JSON object's text, or NULL for {}. */
char *event_json_make(void *ctx, const id *execution, int seq, enum event_type type, int64_t at_ms,
                      const char *data);

/* What a text that event_json_make made begins with: a look at its first bytes, no parsing. False for any
 * other text: then it is worth no more than a hint that something happened. */
bool event_json_read(const char *text, size_t size, const id *execution, int *seq_r, enum event_type *type_r);

/* Whether a run's events end with one of this type. */
bool event_is_terminal(enum event_type type);
