/* The wait of a workflow's program that takes a signal. */
#pragma once

#include "base/ids.h"
#include "workflow/program.h"
#include "json/json.h"

struct request;

/* False: the request is rejected, because a signal cannot have this name. */
bool signal_name_is_valid(struct request *r, const char *name) WARN_UNUSED;

/* The step number `step` of a version of a workflow of the request's workspace; step -1: the first one of
 * type `wait` whose signal has that name without a template. *step_r is NULL if there is none; it is valid
 * until the next program is read. ERR_RETRY: the reply is set. */
enum err signal_wait_find(struct request *r, const id *workflow, int version, const char *name, int step,
                          const struct program **program_r, const struct program_step **step_r) WARN_UNUSED;
/* The schema of that step as it was sent, of r; NULL: any data. */
enum err signal_wait_schema(struct request *r, const id *workflow, int version, const struct program *program,
                            const struct program_step *step, json_object **schema_r) WARN_UNUSED;
/* The text of a template without references, of ctx; NULL if it has some, or is NULL. */
const char *signal_wait_literal(void *ctx, const struct json_template *text);
