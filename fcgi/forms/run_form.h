/* The body of a request that starts a run: its members, checked for form, as spans of the raw bytes. */
#pragma once

#include "run/accept.h"
#include "json/json.h"

struct request;
struct schema;

enum { RUN_TAGS_MAX = 32, RUN_TAG_MAX = 256, RUN_CHAT_TEXT_MAX = 256 };

/* {inputs?, tags?, metadata?, chat?}; no body at all is none of them. False where it is wrong: the reply is
 * set. */
bool run_form_read(struct request *r, struct run_request *req) WARN_UNUSED;
/* The `chat` of a body (NULL: none), which says that a chat dispatcher sends it. False where it is wrong; the
 * reply is the caller's, RUN_CHAT_RULE says what is wanted. */
bool run_form_read_chat(json_object *chat, struct run_request *req) WARN_UNUSED;
#define RUN_CHAT_RULE                                                                                        \
    "chat must be an object of thread_id and tool_call_id (at most 256 octets) and message_id (a UUID)."
/* The inputs (absent: {}) against a compiled schema; NULL takes any object. */
bool run_form_check_inputs(struct request *r, const struct run_request *req,
                           const struct schema *schema) WARN_UNUSED;
