/* What the command left in outputs/, for whoever keeps it: regular files with one name, matched by a glob,
 * hashed and typed. Symbolic links, devices, FIFOs, sockets and hard links are refused. Called when nothing
 * of the run lives. The type is libmagic's word on the first 64 KiB, given by a child process that has the
 * slot's uid and may only compute: the bytes are hostile and such parsers have had holes. */
#pragma once

#include <json-c/json.h>

#include "runner/job.h"

/* A new array of {relpath, size_bytes, sha256, media_type} in *kept_r, of {relpath, why} (at most 20) in
 * *refused_r. `budget_bytes` bounds what is hashed. */
void runner_artifacts_collect(const struct runner_job *job, int outputs_fd, uint64_t budget_bytes,
                              json_object **kept_r, json_object **refused_r);

/* Whether one of the globs (NULL: yes) takes the path below outputs/. `*` crosses slashes; a leading
 * "outputs/" of a glob is ignored. */
bool runner_artifacts_match(const char **globs, const char *relpath);
