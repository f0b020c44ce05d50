/* One job, as the executor hands it over: a JSON object, checked strictly (an unknown member is refused, so
 * that a misspelt limit never means "no limit"). Everything in a job is owned by the talloc context it was
 * parsed into. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct runner_file {
    const char *source_path; /* where the bytes are: absolute, the executor's own */
    const char *name;        /* the name below inputs/materials/, one path component */
};

struct runner_job {
    const char **argv; /* NULL at the end; at least one */
    const char *skill_dir, *run_dir;
    const char *stdin_text; /* the inputs, exactly as the caller sent them */
    size_t stdin_bytes;
    int64_t timeout_ms, grace_ms;
    uint64_t memory_bytes, disk_bytes, stdout_max, log_max;
    unsigned processes_max; /* processes and threads together */
    unsigned artifacts_max;
    bool network;
    uid_t uid; /* of the slot; 0 where none was given (then the runner must not be root) */
    struct runner_file *files;
    size_t file_count;
    const char **artifacts; /* globs, NULL at the end; NULL: every file */
    const char **env;       /* "NAME=value", NULL at the end, never NULL itself */
    bool no_net_ns, no_cgroup_ns, no_seccomp, no_io_accounting; /* pieces the operator accepts missing */
};

/* ERR_INVALID with a sentence in *why_r (static or of ctx). */
enum err runner_job_parse(void *ctx, const char *text, size_t size, struct runner_job **job_r,
                          const char **why_r) WARN_UNUSED;
