/* The run's folder: run_dir/{log,stdout,work/{inputs/materials/,outputs/}}. `work` and `outputs` belong to
 * the slot's user. `inputs` belongs to the caller and is mounted read-only in the sandbox. */
#pragma once

#include "runner/job.h"

struct runner_workdir {
    int work_fd, outputs_fd, log_fd, stdout_fd;
    /* disk use of the inputs, which does not count against the command's limit */
    uint64_t input_bytes;
};

/* Creates the folder; run_dir itself may exist already. On failure *why_r is the reason, owned by ctx. The
 * caller owns the descriptors, also on failure (-1: not opened). */
enum err runner_workdir_make(void *ctx, const struct runner_job *job, struct runner_workdir *workdir_r,
                             const char **why_r) WARN_UNUSED;
