/* How a command's run ended, derived from the record that its runner sends last (docs/skills.md describes
 * it). Pure. */
#pragma once

#include <json-c/json.h>

#include "run/states.h"

struct exit_verdict {
    /* 0: the command succeeded, as far as the runner can tell; its outputs are not checked yet */
    enum failure_reason reason;
    /* a sentence, static or of the context */
    const char *error;
};

/* `record` may be NULL: the runner died without one. */
struct exit_verdict exit_verdict_of(void *ctx, json_object *record);
