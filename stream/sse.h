/* Formats text/event-stream and the chunks of the HTTP response that carries it. Pure. Sources: WHATWG HTML,
 * "Server-sent events"; RFC 9112 section 7.1 (chunked transfer coding). */
#pragma once

#include <stddef.h>

#include "base/ids.h"
#include "run/states.h"

/* Appends an event to the talloc string *out. `text` is its JSON, `size` bytes without NUL. */
void sse_append_event(char **out, int seq, enum event_type type, const char *text, size_t size);
/* Appends an event of a feed, whose ids are larger and whose types include others. */
void sse_append_feed(char **out, int64_t number, const char *type, const char *text, size_t size);
/* Appends a message of the Model Context Protocol; `size` 0: an event without data, which only tells its id.
 */
void sse_append_message(char **out, const char *event_id, const char *text, size_t size);
/* Appends a block without data, which tells the client an id and nothing else. */
void sse_append_id(char **out, int64_t number);
/* Appends the field that sets the client's reconnect delay. */
void sse_append_retry(char **out, int ms);

#define SSE_PING ": ping\n\n"

enum { CHUNK_HEAD_SIZE = 20 };
/* Writes the head of a chunk of `size` bytes (not 0), to be followed by the bytes and CHUNK_END. Returns the
 * length of the head. */
size_t chunk_head(char head[CHUNK_HEAD_SIZE], size_t size);
#define CHUNK_END "\r\n"
#define CHUNKS_END "0\r\n\r\n"
