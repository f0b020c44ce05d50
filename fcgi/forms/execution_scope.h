/* A key may act on an execution (stop, retry) if it may run the execution's responder. */
#pragma once

#include "base/ids.h"
#include "run/states.h"

struct request;

/* True if the key has the :execute scope of the execution's kind. Otherwise the reply is set: 403, or 404 if
 * the workspace has no such execution. */
bool require_execute_scope(struct request *r, const id *execution) WARN_UNUSED;
