/* The execution of a skill as an answer, in the skills contract's shape. */
#pragma once

#include "run/accept.h"
#include "store/skill_execution.h"

struct request;

/* {"data": …}, of the request. */
struct span skill_execution_body(struct request *r, const struct skill_execution *exec);
/* Looked up in the key's workspace: 404 where it is not there, or is no skill's. */
int skill_reply(struct request *r, int status, const id *execution);
/* Whether {space} of the path is the key's workspace; else the reply is 404. */
bool require_own_space(struct request *r) WARN_UNUSED;
