/* The body of POST and PUT /workflows: {name, description?, program}, checked as far as it can be without a
 * lock. */
#pragma once

#include "store/workflow.h"

struct request;

/* Fills in who, name, description, program and its compiled form (of the request). False where it is wrong:
 * the reply is set. */
bool workflow_form_read(struct request *r, struct workflow_change *c) WARN_UNUSED;
/* 422 with the problems of the program. */
int workflow_form_reject(struct request *r, const struct workflow_change *c);
