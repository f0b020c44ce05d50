/* The reply to POST …/estimate, of workflows and skills. */
#pragma once

#include "fcgi/forms/start_run.h"

/* Checks the request as a start does, and replies with what the run would cost if it were accepted now. */
int reply_estimate(struct request *r, struct run_request *req, target_validator *validate_target);
