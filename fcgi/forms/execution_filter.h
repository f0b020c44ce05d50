/* The filter of executions: query parameters of GET /executions, and the members of `filter` of a bulk job.
 */
#pragma once

#include "store/execution_list.h"
#include "json/json.h"

struct request;

/* The parameter may be repeated. */
bool execution_filter_is_responder(const char *name);
/* Reads responderIds, workflow_id, status, state, tag, parentId, batch_id, created_after, created_before,
 * error and error_hash. *is_empty_r: they contradict each other, so that nothing can match. False: the
 * request is rejected. */
bool execution_filter_read(struct request *r, struct execution_filter *filter, bool *is_empty_r) WARN_UNUSED;
/* The same as members of an object, and `skill`, the slug of a skill. */
bool execution_filter_read_json(struct request *r, json_object *object, struct execution_filter *filter,
                                bool *is_empty_r) WARN_UNUSED;
