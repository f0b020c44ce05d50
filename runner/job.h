/* A job: a JSON object from the executor. It is checked strictly: an unknown member is an error, so that a
 * misspelt limit never means no limit. The talloc context that the job was parsed into owns everything in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "runner/command_groups.h"
#include "runner/warm_protocol.h"

struct runner_file {
    /* absolute path of a file that the executor owns */
    const char *source_path;
    /* name below inputs/materials/: one path component */
    const char *name;
};

struct runner_job {
    /* NULL-terminated, at least one element */
    const char **argv;
    const char *skill_dir, *run_dir;
    /* the inputs, byte for byte as the caller sent them */
    const char *stdin_text;
    size_t stdin_bytes;
    int64_t timeout_ms, grace_ms;
    uint64_t memory_bytes, disk_bytes, stdout_max, log_max;
    /* limit for processes and threads together */
    unsigned processes_max;
    unsigned artifacts_max;
    bool network;
    /* the command speaks the protocol of warm skills (warm_protocol.h) */
    bool warm;
    /* with `warm`: the process ends after this job */
    bool last;
    /* with `warm`: for the job's line */
    struct warm_trace trace;
    /* the folder that holds work/: warm_dir, otherwise run_dir */
    const char *work_parent;
    /* the slot's uid; 0 if the job has none, which is an error if the runner is root */
    uid_t uid;
    struct runner_file *files;
    size_t file_count;
    /* NULL-terminated globs; NULL: all files are artifacts */
    const char **artifacts;
    /* NULL-terminated list of "NAME=value"; never NULL itself */
    const char **env;
    /* features that the operator accepts to be missing */
    bool no_net_ns, no_cgroup_ns, no_seccomp, no_io_accounting;
    /* not from the text: command_groups_open_own(); -1 after parsing */
    struct command_groups_own groups;
};

/* Parses a job. ERR_INVALID if it is not valid; *why_r is then the reason, static or owned by ctx. */
enum err runner_job_parse(void *ctx, const char *text, size_t size, struct runner_job **job_r,
                          const char **why_r) WARN_UNUSED;
