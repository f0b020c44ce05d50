/* Reads text/event-stream while it arrives, in pieces of any size. Source: HTML Living Standard, 9.2.5 and
 * 9.2.6 (server-sent events).
 *
 * A byte order mark at the start is skipped. Lines end with LF, CR or CRLF. A line that begins with a colon
 * is a comment. The data lines of an event are joined by LF. An empty line ends an event; an event without a
 * data line is dropped. A type that contains a NUL counts as none. The fields `id` and `retry` are ignored,
 * because nobody reconnects here.
 *
 * Bytes are passed on as they are: they may be invalid UTF-8 and may contain NULs. The caller limits the
 * size. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct event_stream;

/* One event. `type` is "message" if the stream did not name one. `data` is NUL-terminated; both texts are
 * valid during the call only. */
typedef void event_stream_event(void *arg, const char *type, const char *data, size_t size);

struct event_stream *event_stream_new(void *ctx, event_stream_event *on_event, void *arg);
/* Calls on_event for each event that these bytes complete. */
void event_stream_feed(struct event_stream *s, const char *bytes, size_t size);
/* The stream has ended. The standard drops an event whose empty line is missing, because a browser would ask
 * for it again. Here it is passed on: servers often omit the last empty line, and whether the event is
 * complete is seen in its data. */
void event_stream_finish(struct event_stream *s);
/* True once a comment or a known field was read: the bytes are an event stream, and not something else. */
bool event_stream_is_recognized(const struct event_stream *s);
