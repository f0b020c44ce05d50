/* A job of the disk thread: collects what a command's run has left. The outputs are read and checked against
 * the manifest's schema; the artifacts and the log become blobs. */
#pragma once

#include "executor/cache/skills.h"
#include "executor/context/executor.h"
#include "store/artifact.h"

struct outputs_job {
    /* first */
    struct job job;
    struct blob_store *blobs;
    /* a reference */
    struct cached_skill *skill;
    const char *run_dir;
    /* holds work/: run_dir, or the folder of a warm skill's process */
    const char *work_parent;
    /* the runner's list of artifacts: a reference that only the job's thread uses */
    json_object *artifact_list;
    /* false: the command failed, and only artifacts and log are collected */
    bool want_outputs;

    /* --- results --- */
    /* artifacts or log could not be stored */
    bool failed;
    /* JSON; NULL: not wanted, or invalid */
    const char *outputs;
    /* outputs are invalid: the run's failure */
    enum failure_reason reason;
    const char *why;
    struct artifact *artifacts;
    size_t artifacts_n;
    /* artifacts of the runner's list that were not there any more */
    size_t missing_n;
    bool has_log;
    struct blob_id log;
};

/* The caller sets want_outputs, job.done and job.arg, and submits the job to the disk thread. `artifact_list`
 * may be NULL. */
struct outputs_job *outputs_job_new(struct executor *exec, struct cached_skill *skill, const char *run_dir,
                                    const char *work_parent, json_object *artifact_list);
