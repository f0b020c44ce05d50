/* The body of a request that starts a run. Its members are checked for form and kept as spans of the raw
 * bytes. */
#pragma once

#include "run/accept_types.h"
#include "json/json.h"

struct request;
struct schema;

enum { RUN_TAGS_MAX = 32, RUN_TAG_MAX = 256, RUN_CHAT_TEXT_MAX = 256 };

/* Reads {inputs?, tags?, metadata?, chat?, webhook?} and RUN_TIME_MEMBERS; a missing body has none of them.
 * False if the body is malformed: the request is rejected. */
bool run_form_read(struct request *r, struct run_request *req) WARN_UNUSED;
/* Reads an item of run-batch, which is the body of `r`: the same members and idempotency_key. */
bool run_form_read_item(struct request *r, struct run_request *req) WARN_UNUSED;
/* Reads the members inputs, tags and metadata of the body. False: the request is rejected. */
bool run_form_read_payload(struct request *r, json_object *body, struct run_request *req) WARN_UNUSED;
/* Reads the `webhook` member (NULL: absent), the run's own webhook. False: the request is rejected. */
bool run_form_read_webhook(struct request *r, json_object *webhook, struct run_request *req) WARN_UNUSED;
/* True if `tags` is an array of at most RUN_TAGS_MAX strings of 1 to RUN_TAG_MAX octets. */
bool run_form_tags_fit(json_object *tags);
/* Reads the `chat` member (NULL: absent), by which a chat dispatcher identifies the message and the tool
 * call. False if it is malformed: the caller rejects the request, by RUN_CHAT_RULE. */
bool run_form_read_chat(json_object *chat, struct run_request *req) WARN_UNUSED;
#define RUN_CHAT_RULE "an object with thread_id and tool_call_id (1 to 256 octets) and message_id (a UUID)"
/* Reads when the run is to start and when it expires. A start that has passed counts as absent. False: a
 * member is malformed, and the request is rejected. */
#define RUN_TIME_MEMBERS "start_at delay_seconds expires_at ttl_seconds"
bool run_form_read_times(struct request *r, json_object *body, struct run_request *req) WARN_UNUSED;
/* Checks the times against the clock, once the idempotency key is known to be unused, and reads the quota of
 * delayed runs. False: the request is rejected. */
bool run_form_check_times(struct request *r, struct run_request *req) WARN_UNUSED;
/* Validates the inputs (absent: {}) against a compiled schema; NULL accepts any object. False: the reply is
 * set, 422 with one entry per violation, or 429 (form_validate). */
bool run_form_check_inputs(struct request *r, const struct run_request *req,
                           const struct schema *schema) WARN_UNUSED;
