/* Answers with an execution of a skill, in the shape of the skills API. */
#pragma once

#include "run/accept.h"
#include "store/skill_execution.h"

struct request;

/* {"data": …}, allocated from the request. */
struct span skill_execution_body(struct request *r, const struct skill_execution *exec);
/* Reads the execution and replies. 404 if the workspace has no such execution or it is not a skill's. */
int skill_reply(struct request *r, int status, const id *execution);
/* True if {space} in the path is the key's workspace. Otherwise the request is rejected (404). */
bool require_own_space(struct request *r) WARN_UNUSED;
