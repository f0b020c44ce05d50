/* A retry that does not repeat everything: which steps it adopts of the run that is retried. */
#pragma once

#include "run/accept_types.h"
#include "store/execution.h"
#include "json/json.h"

struct request;

/* What the body of a retry asks for. */
struct retry_form {
    /* The name of a step, or "failed"; NULL: from the beginning. */
    const char *from;
    /* The current version instead of the version of the old execution. */
    bool current;
    /* Instead of the inputs of the old execution; absent: those. */
    struct span inputs;
};

/* Reads {from?, inputs?, version?}. False: the request is rejected. */
bool retry_form_read(struct request *r, struct retry_form *form) WARN_UNUSED;
/* Reads the members from and version. False as above. */
bool retry_form_read_members(struct request *r, json_object *body, struct retry_form *form) WARN_UNUSED;
/* Plans what `req`, whose version is decided, adopts of `exec`, the execution of a workflow, and writes
 * req->extra. False: the reply is set. */
bool retry_form_plan(struct request *r, const struct execution *exec, const struct retry_form *form,
                     struct run_request *req) WARN_UNUSED;
