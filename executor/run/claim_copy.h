/* Copies of what a claim carries, for the state of a run's kind: the memory of a claim is freed when it is
 * settled. */
#pragma once

#include "executor/db_thread/claimed_run.h"
#include "json/json.h"

/* The JSON value of `text`, of `ctx`. If `text` is NULL or does not parse: `otherwise`, whose reference
 * this function takes over; NULL is allowed. */
json_object *claim_json(void *ctx, const char *text, json_object *otherwise);
/* The signals that were given to waits of the run: c->signals_n of them. */
const struct given_signal *claim_signals(void *ctx, const struct claimed_run *c);
/* The steps that earlier attempts have stored: c->steps_n of them, in program order. */
const struct stored_step *claim_steps(void *ctx, const struct claimed_run *c);
