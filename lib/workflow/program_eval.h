/* Evaluates the parts of a compiled program in the scope of a run. Errors as in template.h, with a sentence
 * in *why_r (static or of ctx). */
#pragma once

#include "workflow/program.h"

/* The array that a for_each iterates over: read-only, owned by the scope, the step or ctx. ERR_INVALID if it
 * is no array, ERR_LIMIT if it has more than PROGRAM_ITEMS_MAX items. */
enum err program_items(void *ctx, const struct program_step *step, const struct template_scope *scope,
                       json_object **array_r, const char **why_r) WARN_UNUSED;
/* The duration of a delay step, rounded up. ERR_INVALID if it is no number from 0 to PROGRAM_SECONDS_MAX. */
enum err program_delay_ms(void *ctx, const struct program_step *step, const struct template_scope *scope,
                          int64_t *ms_r, const char **why_r) WARN_UNUSED;
/* The delay after the failed attempt number `attempt` (from 1), by backoff_ms; at most
 * PROGRAM_BACKOFF_SECONDS_MAX. */
int64_t program_backoff_ms(const struct program_step *step, int attempt);
/* True if an http step counts this HTTP status as success. */
bool program_status_expected(const struct program_step *step, int status);
/* Renders the inputs of a child run, {} by default; owned by ctx. ERR_INVALID if they are no object. */
enum err program_child_inputs(void *ctx, const struct program_step *step, const struct template_scope *scope,
                              json_object **inputs_r, const char **why_r) WARN_UNUSED;
/* Renders the outputs of a run; owned by ctx. */
enum err program_outputs(void *ctx, const struct program *program, const struct template_scope *scope,
                         json_object **value_r, const char **why_r) WARN_UNUSED;

/* The size of a step's result as compact JSON. SIZE_MAX: it exceeds PROGRAM_RESULT_MAX, or
 * PROGRAM_RESULT_DEPTH_MAX levels. */
size_t program_result_size(json_object *result);
/* Records the end of a step in the scope's `steps`. Takes a reference to `result`; `result` and `error` may
 * be NULL. `status` is "completed", "failed" or "skipped". */
void program_scope_put(json_object *steps, const char *name, const char *status, json_object *result,
                       const char *error);
