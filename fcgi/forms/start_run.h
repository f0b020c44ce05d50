/* Starts a run by request: the common part of run-async, a skill's start and retry. It looks up the stored
 * response of the idempotency key, validates the target, accepts the run and turns the verdict into a
 * reply. */
#pragma once

#include "run/accept.h"

struct request;

/* Checks that the target exists and accepts the inputs, and fills in version, price, credits_asked and body.
 * False: the request is rejected. `bypass_cache`: the target has changed since the cached
 * version was read, so read it again. */
typedef bool target_validator(struct request *r, struct run_request *req, bool bypass_cache);

/* Fills in workspace, principal, API key and idempotency key, and chooses the execution's id. False if the
 * Idempotency-Key is malformed: the request is rejected. */
bool start_run_prepare(struct request *r, struct run_request *req) WARN_UNUSED;
/* Starts the run and replies. With `Prefer: wait`, for a new run or a replay, the event daemon replies later
 * (fcgi/forms/wait.h). The response stored for replay is req->first_response in any case. */
int start_run(struct request *r, struct run_request *req, target_validator *validate_target);
/* The same whatever the client prefers: the reply is 201 or 202 if the run, r->execution_id, was accepted or
 * replayed. */
int start_run_without_wait(struct request *r, struct run_request *req, target_validator *validate_target);
/* What the body of an accepted run says. The ids may be unset (`retry_of`, `workflow`), the times 0. */
struct run_accepted {
    const id *execution, *workflow, *retry_of;
    int64_t start_ms, expires_ms;
};
/* The body of the 202 of run-async and retry. */
struct span run_accepted_body(struct request *r, const struct run_accepted *run);

/* Replays the stored response of an idempotency key: of a run, a stop or a workflow. */
int reply_stored_response(struct request *r, const id *execution, const struct stored_response *response);
/* Ends a rejected request (reply_rejected). The rejection stands if the idempotency key (if any) is unused;
 * otherwise the key's stored response is replayed instead. A reply of 403 (the caller may not learn about the
 * key) or 503 always stands. */
int reject_or_replay(struct request *r, struct span key, const uint8_t fingerprint[32]);
/* The same for a request that was replied to with this status, not a success. */
int refuse_or_replay(struct request *r, struct span key, const uint8_t fingerprint[32], int status);
/* The reply to a run that was decided. */
int reply_run_verdict(struct request *r, const struct run_request *req, const struct run_answer *answer);
int reply_key_reused(struct request *r);
