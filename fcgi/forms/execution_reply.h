/* Answers with one execution. */
#pragma once

#include "store/execution.h"

struct request;

/* Replies with the given status and the whole execution. With `with_steps` its steps are read and added. */
int execution_reply(struct request *r, int status, const struct execution *exec, bool with_steps);
