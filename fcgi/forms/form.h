/* Checks that several request bodies and queries have in common. What is wrong is recorded by
 * request_reject(). */
#pragma once

#include "base/err.h"
#include "base/span.h"
#include "schema/schema.h"
#include "json/json.h"
#include "json/json_problems.h"

struct request;

/* Rejects a parameter or member: "NAME must be WHAT." (400). Returns false. */
bool form_reject_value(struct request *r, const char *name, const char *what);
/* True if all members of the body are in `known`, names separated by spaces. Otherwise the request is
 * rejected (400). */
bool form_members_are_known(struct request *r, json_object *body, const char *known) WARN_UNUSED;
/* The bytes of a member of r->body as sent; absent if the member is missing or null. */
struct span form_raw_member(const struct request *r, json_object *body, const char *name);
/* The id of the last event that the client of a stream has received, at most `digits` digits (18 or fewer);
 * -1: it names none. The header wins over the query, because a reconnecting EventSource sends both and
 * updates only the header. False: the request is rejected. */
bool form_last_event_id(struct request *r, size_t digits, int64_t *id_r) WARN_UNUSED;
/* Validates inputs. If that takes more than a millisecond, the request waits for its turn (fcgi/http/slow.h);
 * ERR_RETRY: the turn did not come, and the reply is set. Otherwise as schema_validate. */
enum err form_validate(struct request *r, const struct schema *schema, json_object *inputs,
                       struct schema_problems *found) WARN_UNUSED;
/* The problems of the inputs with pointers into the body: the validator's pointers start at the inputs.
 * Allocated from the request. */
struct json_problems *form_input_problems(struct request *r, const struct schema_problems *found);
