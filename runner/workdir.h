/* The run's folder: run_dir/{log,stdout,work/{inputs/materials/,outputs/}}. `work` and `outputs` belong to
 * the slot's user, `inputs` to the caller (and is mounted read-only). Errors: a sentence in *why_r, of ctx.
 */
#pragma once

#include "runner/job.h"

struct runner_workdir {
    int work_fd, outputs_fd, log_fd, stdout_fd;
    uint64_t input_bytes; /* what the inputs take: not the command's doing */
};

enum err runner_workdir_make(void *ctx, const struct runner_job *job, struct runner_workdir *workdir_r,
                             const char **why_r) WARN_UNUSED;
