/* The body of POST and PUT /workflows: {name, description?, program}. It is checked as far as possible
 * without the account's lock. */
#pragma once

#include "store/workflow.h"

struct request;

/* Fills in workspace, principal, name, description, the program and its compiled form, which is allocated
 * from the request. False if the body is malformed or the program has errors: the request is rejected. */
bool workflow_form_read(struct request *r, struct workflow_change *c) WARN_UNUSED;
/* Replies 422 with the problems of the program. */
int workflow_form_reject(struct request *r, const struct workflow_change *c);
