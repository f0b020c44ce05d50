/* Starting a run by request: what run-async, a skill's start and retry have in common. Looks for the key's
 * first answer, has the target judged, accepts, and turns the verdict into the answer. */
#pragma once

#include "run/accept.h"

struct request;

/* Judges what depends on the target (it exists, takes these inputs) and fills in version, price,
 * credits_asked and body. False where it refuses: the reply is set. `bypass_cache`: what was known of the
 * target has changed meanwhile. */
typedef bool target_validator(struct request *r, struct run_request *req, bool bypass_cache);

/* Who asks, from where, with which key; chooses the execution's id. False where the Idempotency-Key is wrong.
 */
bool start_run_prepare(struct request *r, struct run_request *req) WARN_UNUSED;
/* With `Prefer: wait` the answer is left to the event daemon (fcgi/forms/wait.h), for a replay as for a new
 * run; what is stored for replay is q->status and q->body in any case. */
int start_run(struct request *r, struct run_request *req, target_validator *validate_target);
/* The body of run-async's 202; retry_of may be unset. */
struct span run_accepted_body(struct request *r, const id *execution, const id *workflow, const id *retry_of);

/* Sends the first answer of a key again: of a run, a stop or a workflow. */
int reply_stored_response(struct request *r, const struct run_answer *answer);
/* The reply is a refusal: it is told only when the key (if any) is known to be free; else its first answer
 * comes again. Who may not ask (403) learns nothing of the key; 503 says nothing of it. */
int reject_or_replay(struct request *r, struct span key, const uint8_t fingerprint[32]);
int reply_key_reused(struct request *r);
