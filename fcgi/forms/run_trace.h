/* The trace of a run that a request starts: whether it is recorded, and the span of its acceptance. */
#pragma once

#include "run/accept_types.h"

struct request;

/* Before the run is accepted; again has no effect. A recorded run goes below the span of its acceptance. */
void run_trace_decide(struct request *r, struct run_request *req);
/* The run was accepted: exports that span, if it is recorded. `r` is the request that began. */
void run_trace_accepted(struct request *r, const struct run_request *req);
