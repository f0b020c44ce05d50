/* A text that many streams send: server-sent events of a feed. It is formatted once as a chunk of HTTP and,
 * for streams that are compressed, as a block (stream/gzip_stream.h). The streams refer to the same bytes,
 * which live until the last one has sent them. A copy for each of a thousand streams would take as long as
 * the system calls that send them. */
#pragma once

#include <event2/buffer.h>
#include <stdbool.h>
#include <stddef.h>

#include "stream/gzip_stream.h"

struct shared_text;

/* Copies the text; `packs`: streams that are compressed may send it. Any thread. May be freed (talloc_free)
 * by the loop thread while streams have not sent it yet. */
struct shared_text *shared_text_new(void *ctx, const char *text, size_t size, bool packs);
/* Adds the text to the output of a stream, which is compressed if `gzip` is on. Nothing, if it is empty. Loop
 * thread only. */
void shared_text_send(const struct shared_text *text, struct evbuffer *out, struct gzip_stream *gzip);
