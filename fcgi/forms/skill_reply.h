/* The execution of a skill as an answer, in the skills contract's shape. */
#pragma once

#include "run/accept.h"
#include "store/skill_execution.h"

struct request;

/* {"data": …}, of the request. */
struct span skill_body(struct request *r, const struct skill_execution *x);
/* Looked up in the key's workspace: 404 where it is not there, or is no skill's. */
int skill_reply(struct request *r, int status, const id *execution);
/* Whether {space} of the path is the key's workspace; else the reply is 404. */
bool skill_space_is_own(struct request *r) WARN_UNUSED;
