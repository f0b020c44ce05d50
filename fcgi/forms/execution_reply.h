/* One execution as an answer. */
#pragma once

#include "store/execution.h"

struct request;

/* 200 with the whole of it; with its steps, which are read here, where they are asked for. */
int execution_reply(struct request *r, int status, const struct execution *exec, bool with_steps);
