/* Determines media types with libmagic, in a child process that may only compute (seccomp.h; artifacts.h says
 * why). Only the child loads libmagic, so runs without artifacts do not pay for it. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct runner_media;

/* Starts the child. NULL if that fails; every type is then unknown. `uid`: the uid that the child changes to;
 * 0: keep the current one. */
struct runner_media *runner_media_start(uid_t uid);
/* Returns the media type of a file that begins with these bytes, or NULL if it is unknown. Valid until the
 * next call. NULL-safe. */
const char *runner_media_type(struct runner_media *media, const void *bytes, size_t size);
/* Ends the child and frees `media`. NULL-safe. */
void runner_media_stop(struct runner_media *media);
