/* The bytes of text/event-stream and of the HTTP answer that carries it. Pure.
 * Sources: WHATWG HTML, "Server-sent events"; RFC 9112 section 7.1 (chunks). */
#pragma once

#include <stddef.h>

#include "base/ids.h"
#include "run/states.h"

/* Appends one event to talloc string *out: `text` is its JSON, without NUL. */
void sse_append_event(char **out, int seq, enum event_type type, const char *text, size_t size);
/* The line that says how long a client waits before it comes again. */
void sse_append_retry(char **out, int ms);

#define SSE_PING ": ping\n\n"

enum { CHUNK_HEAD_SIZE = 20 };
/* What stands before a chunk of `size` bytes (not 0; "\r\n" follows it). The length of the head. */
size_t chunk_head(char head[CHUNK_HEAD_SIZE], size_t size);
#define CHUNK_END "\r\n"
#define CHUNKS_END "0\r\n\r\n"
