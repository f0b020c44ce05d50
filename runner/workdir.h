/* The run's folder: run_dir/{log,stdout,work/{inputs/materials/,outputs/}}. A warm command may have `work` in
 * a folder of its own (job->work_parent), because it is mounted once for all its jobs. `work` and `outputs`
 * belong to the slot's user. `inputs` belongs to the caller and is mounted read-only in the sandbox. */
#pragma once

#include "runner/job.h"

struct runner_workdir {
    int work_fd, outputs_fd, log_fd, stdout_fd, materials_fd;
    /* of a work_parent that is not the run's folder: holds its lock; otherwise -1 */
    int lock_fd;
    /* disk use of the inputs, which does not count against the command's limit */
    uint64_t input_bytes;
    /* Warm: runner_workdir_clear has removed what the last job left. */
    bool is_clear;
};

/* Creates the folders; run_dir itself may exist already. On failure *why_r is the reason, owned by ctx. The
 * caller owns the descriptors, also on failure (-1: not opened). */
enum err runner_workdir_make(void *ctx, const struct runner_job *job, struct runner_workdir *workdir_r,
                             const char **why_r) WARN_UNUSED;

/* Warm: removes what a job has left, while nobody waits for the next one. All processes of the sandbox are
 * stopped, and stay so until runner_workdir_next. What fails is tried again, and reported, there. */
void runner_workdir_clear(const struct runner_job *job, struct runner_workdir *workdir);

/* Warm: replaces what a job has left by what the next one finds. All processes of the sandbox are stopped.
 * False: something could not be removed, or the job's files could not be created; *why_r as above. */
enum err runner_workdir_next(void *ctx, const struct runner_job *job, struct runner_workdir *workdir,
                             const char **why_r) WARN_UNUSED;
