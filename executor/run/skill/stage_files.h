/* Stages the files of a command's run: finds them in MariaDB and links their blobs into the run's directory,
 * in the database thread. The runner then copies them into the sandbox. */
#pragma once

#include "executor/run/active_run.h"

enum {
    STAGE_FILES_MAX = 1000, /* of one run; further ids are ignored */
};

struct stage_files_job {
    /* first; e: OK, ERR_INTERNAL (the disk; logged), or the error of the lookup */
    struct job job;
    struct blob_store *blobs;
    id workspace, principal;
    const char *run_dir;
    const char **names;
    size_t n;

    /* answered: [{source_path, name}] for the runner; NULL: no file was found */
    json_object *files;
    /* answered: {count, names}, the data of the event files.missing; NULL: all files were found */
    json_object *missing;
};

/* To be submitted to the database thread; the caller sets job.done and job.arg. `ids`: an array of the file
 * ids or names that the run was started with. */
struct stage_files_job *stage_files_job_new(const struct active_run *run, const char *run_dir,
                                            json_object *ids);
