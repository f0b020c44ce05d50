/* What a command's run has left: outputs, artifacts and log, read, checked and made blobs in the disk thread.
 */
#pragma once

#include "executor/cache/skills.h"
#include "executor/context/executor.h"
#include "store/artifact.h"

struct outputs_job {
    struct job job; /* first */
    struct blob_store *blobs;
    struct cached_skill *skill; /* a reference */
    const char *run_dir;
    json_object *artifact_list; /* the runner's list of artifacts; ours alone */
    bool want_outputs;

    /* answered */
    bool failed;         /* the disk would not take it */
    const char *outputs; /* JSON; NULL: not wanted, or `why` */
    enum failure_reason reason;
    const char *why;
    struct artifact *artifacts;
    size_t artifacts_n;
    bool has_log;
    struct blob_id log;
    void *blob_lock; /* of the blobs: to be freed when their rows are written */
};

/* `artifact_list` may be NULL. */
struct outputs_job *outputs_job_new(struct executor *exec, struct cached_skill *skill, const char *run_dir,
                                    json_object *artifact_list);
