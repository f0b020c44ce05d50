/* The tool calls of one answer, put together from deltas. The format names a call by `index`, gives `id` and
 * `name` with its first delta, and sends `arguments` in pieces. Servers deviate: every index is 0, there is
 * no index, there is no id, whole calls are repeated. The rules here:
 *
 * - A delta belongs to the call with its id; otherwise to the newest call with its index; without an index,
 * to the newest call.
 * - A new id or a new name starts a new call. So does a name in a list that has already named this call, and
 * a name without an id once the arguments of the call are complete.
 * - A call without a name and without arguments is dropped. Missing and repeated ids are replaced.
 *
 * Pure. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "base/err.h"

enum { CHAT_TOOL_CALLS_MAX = 64 };

struct chat_calls;

/* `round`: number of the answer in its conversation. Generated ids contain it, so that they differ between
 * the answers of a conversation. */
struct chat_calls *chat_calls_new(void *ctx, int round);
/* Adds the member `tool_calls` of a delta, an array. With `whole`, of a complete message: each item is a call
 * of its own. False: more than CHAT_TOOL_CALLS_MAX calls. */
bool chat_calls_add(struct chat_calls *c, json_object *list, bool whole);
/* Adds one call in the older form {name, arguments}. */
bool chat_calls_add_function(struct chat_calls *c, json_object *function);
/* The calls in the form in which they are sent back: [{id, type, function: {name, arguments}}], owned by `c`.
 * NULL: a call has arguments but no name. */
json_object *chat_calls_json(struct chat_calls *c);
