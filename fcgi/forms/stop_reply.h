/* Answers a request that stops an execution: POST …/stop and …/cancel. */
#pragma once

#include "run/stop.h"

struct request;

/* Replies by the verdict of stop_run(): with req->first_response, or with the stored response in `replay`. */
int stop_reply(struct request *r, const struct stop_request *req, enum stop_verdict verdict,
               const struct idempotency_match *replay);
