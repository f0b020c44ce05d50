/* Collects the artifacts that the command left in outputs/: regular files with one hard link that match one
 * of the job's globs. Each is hashed and its media type determined. Symbolic links, devices, FIFOs, sockets
 * and files with more than one hard link are refused. Call it after all processes of the run have ended.
 *
 * The media type is what libmagic finds in the first 64 KiB. libmagic runs in a child process that has the
 * slot's uid and may only compute (media.h), because the bytes are hostile and such parsers have had
 * vulnerabilities. */
#pragma once

#include <json-c/json.h>

#include "runner/job.h"

/* bytes of the path of an artifact, relative to outputs/ */
enum { RUNNER_ARTIFACT_PATH_MAX = 4000 };

/* New values that the caller owns. */
struct runner_artifacts {
    /* an array of {relpath, size_bytes, sha256, media_type}, in the order of the bytes of the paths */
    json_object *kept;
    /* an array of {relpath, why} in the same order: the first 20 */
    json_object *refused;
    /* {why: number of files}: all of them */
    json_object *reasons;
};
/* Considers the files in the order of their paths, so that the same outputs give the same artifacts. Files
 * that would exceed `budget_bytes` in total are refused, which bounds the bytes that are hashed. */
void runner_artifacts_collect(const struct runner_job *job, int outputs_fd, uint64_t budget_bytes,
                              struct runner_artifacts *found_r);

/* True if one of the globs matches `relpath`, a path relative to outputs/, or if `globs` is NULL. `*` also
 * matches slashes. A leading "outputs/" of a glob is ignored. If a glob begins with two asterisks and a
 * slash, these also match no folder at all. */
bool runner_artifacts_match(const char **globs, const char *relpath);
