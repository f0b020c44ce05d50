/* Media types by libmagic, in a child process that can do nothing but compute (see artifacts.h). libmagic is
 * loaded in that child only: runs without artifacts never pay for it. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct runner_media;

/* NULL where no child can be had; every type is then unknown. uid 0: stay the user one is. */
struct runner_media *runner_media_start(uid_t uid);
/* The type of a file that begins with these bytes, or NULL; good until the next call. */
const char *runner_media_type(struct runner_media *media, const void *bytes, size_t size);
/* Ends the child. NULL-safe. */
void runner_media_stop(struct runner_media *media);
