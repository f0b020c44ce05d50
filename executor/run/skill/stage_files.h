/* Stages the files of a command's run: finds them in MariaDB, in the database thread, and links their blobs
 * into the run's directory. The runner then copies them into the sandbox. With an object store, the disk
 * thread gets the blobs and the skill's package that this host does not have. */
#pragma once

#include "blob/blob.h"
#include "executor/run/active_run.h"

enum {
    STAGE_FILES_MAX = 1000, /* of one run; further ids are ignored */
};

struct stage_files_job {
    /* first; e: OK, ERR_INTERNAL (the disk; logged), or the error of the lookup. After the part of the disk
     * thread also ERR_NOT_FOUND, ERR_UNAVAILABLE and ERR_LIMIT: this host cannot have the bytes now (logged)
     */
    struct job job;
    struct blob_store *blobs;
    id workspace, principal;
    const char *run_dir, *files_dir;
    const char **names;
    size_t n;
    /* The package is to be unpacked. */
    bool needs_package;
    uint8_t package[BLOB_HASH];

    /* what the database thread found, for the disk thread */
    struct file *found;
    size_t found_n;
    id package_object;

    /* answered: [{source_path, name}] for the runner; NULL: no file was found */
    json_object *files;
    /* answered: {count, names}, the data of the event files.missing; NULL: all files were found */
    json_object *missing;
};

/* To be submitted to the database thread; the caller sets job.done and job.arg. `ids`: an array of the file
 * ids or names that the run was started with; NULL: none. `package`: the hash of a package that this host
 * does not have, or NULL. */
struct stage_files_job *stage_files_job_new(const struct active_run *run, const char *run_dir,
                                            json_object *ids, const uint8_t *package);
/* The job came back from the database thread with OK. True: it is to be submitted to the disk thread. */
bool stage_files_has_more(struct stage_files_job *j);
