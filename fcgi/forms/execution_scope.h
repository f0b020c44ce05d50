/* Who may act on an execution: a key that may run what ran it. */
#pragma once

#include "base/ids.h"
#include "run/states.h"

struct request;

/* Whether the key has the responder's …:execute; else the reply is 403, or 404 where there is no such
 * execution. */
bool require_execute_scope(struct request *r, const id *execution) WARN_UNUSED;
