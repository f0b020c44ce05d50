/* Values of json-c that a talloc context owns. */
#pragma once

#include <json-c/json.h>

/* Transfers one reference to `value` to a talloc context, which releases it when it is freed. Returns
 * `value`. */
json_object *json_own(void *ctx, json_object *value);
