/* A workflow as the target of runs: shared by run-async and run-batch. */
#pragma once

#include "run/accept_types.h"

struct request;

/* A target_validator (fcgi/forms/start_run.h): the current version of the workflow req->responder_id. */
bool workflow_validate_target(struct request *r, struct run_request *req, bool bypass_cache);
