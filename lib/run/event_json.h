/* One event of a run as the JSON object that clients receive: {execution_id, seq, type, at, data}. The Redis
 * channel and the event stream use the same function, so both carry the same bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "run/states.h"

/* Returns a talloc string on ctx. `data` is the text of a JSON object, or NULL for {}. */
char *event_json_make(void *ctx, const id *execution, int seq, enum event_type type, int64_t at_ms,
                      const char *data);

/* Reads number and type from the first bytes of a text of event_json_make, without parsing JSON. False for
 * any other text, including an event of another execution: the caller knows only that something happened. */
bool event_json_read(const char *text, size_t size, const id *execution, int *seq_r, enum event_type *type_r);

/* True for the types that end a run's events. */
bool event_is_terminal(enum event_type type);
