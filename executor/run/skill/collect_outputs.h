/* Collects what a command's run has left. The disk thread reads the outputs, and the artifacts and the log
 * become blobs. The outputs are checked against the manifest's schema: there if they are small, otherwise by
 * the compute thread, because other runs wait for the disk thread. */
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
    /* On the loop, when everything is collected and checked; frees the job. Only the loop touches it, and
     * `arg`, also while the job is out. */
    void (*collected)(struct outputs_job *j);
    void *arg;

    /* --- between the threads --- */
    struct compute_thread *compute;
    /* what the command printed, if it is not checked yet; otherwise NULL */
    char *unchecked;
    size_t unchecked_size;

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

/* The caller sets want_outputs, `collected` and `arg`, and submits the job. `artifact_list` may be NULL. */
struct outputs_job *outputs_job_new(struct executor *exec, struct cached_skill *skill, const char *run_dir,
                                    const char *work_parent, json_object *artifact_list);
void outputs_job_submit(struct executor *exec, struct outputs_job *j);
