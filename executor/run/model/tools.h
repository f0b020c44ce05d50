/* The tool calls of one answer of a model, carried out. Each call is a child execution of another skill of
 * the workspace, accepted like any other run. A resumed run finds the children that an earlier attempt
 * started by (run, round, place of the call). Loop thread only. */
#pragma once

#include "executor/run/active_run.h"
#include "executor/run/model/conversation.h"

struct tool_calls;

struct tool_calls_owner {
    /* All calls have a result. */
    void (*on_done)(void *arg);
    /* A child was rejected in a way that ends the run. */
    void (*on_rejected)(void *arg, enum failure_reason reason, const char *error);
    void *arg;
};

/* `calls`: an array as in struct chat_completion, borrowed. `round`: number of the answer, from 0. */
struct tool_calls *tool_calls_new(void *ctx, struct active_run *run, json_object *calls, int round,
                                  const struct tool_calls_owner *owner);
/* Bytes of the arguments of all calls. */
size_t tool_calls_argument_bytes(json_object *calls);
/* By calls: the arguments are a single JSON object. Any thread. */
bool *tool_calls_check(void *ctx, json_object *calls);
/* Starts the children. `tools`: the skills that the model may call; `arguments_ok`: what tool_calls_check
 * returned; both used during this function only.
 * `resumed`: an earlier attempt may have started them. May call on_done at once, if no call is valid. */
void tool_calls_start(struct tool_calls *t, const struct manifest *const *tools, size_t tools_n,
                      const bool *arguments_ok, bool resumed);
/* Once done: adds the results, in the order of the calls. */
void tool_calls_add_results(const struct tool_calls *t, struct conversation *c);
/* The owner is not called any more. The children continue: the end of the run stops them, or a later attempt
 * finds them. */
void tool_calls_cancel(struct tool_calls *t);
