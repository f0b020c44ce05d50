/* The description of a command's run that its runner reads (runner/job.h): the part that a manifest defines.
 */
#pragma once

#include <json-c/json.h>
#include <stdint.h>

#include "skill/manifest.h"

enum {
    /* Between SIGTERM and SIGKILL when a command is ended. */
    SKILL_GRACE_MS = 2000,
};

/* A job of a RUNNER_COMMAND manifest. The caller owns it and adds what depends on the place: files, uid,
 * accept_missing. `skill_dir` is the folder of the installed package, `run_dir` that of the run, `input` the
 * command's standard input. */
json_object *runner_job_new(const struct manifest *m, const char *skill_dir, const char *run_dir,
                            const char *input, int64_t timeout_ms);
