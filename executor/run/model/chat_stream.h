/* Parses the response of a chat-completions API while it arrives: server-sent events with deltas (`stream:
 * true`), or one JSON object from a server that does not stream. Pure. Source of the format: OpenAI's API
 * reference, "Chat Completions", which other servers have adopted with deviations; tests/api/model_quirks.py
 * lists those that are known. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    /* bytes of one response */
    CHAT_ANSWER_MAX = 8 * 1024 * 1024,
};

struct chat_stream;

struct chat_completion {
    /* UTF-8 that may contain NULs; "": none */
    const char *content;
    size_t content_size;
    /* the message in the form in which it is sent back with the next request */
    json_object *message;
    /* its tool calls: an array, possibly empty */
    json_object *calls;
    /* tokens; 0: the server has not reported them */
    int64_t input_tokens, output_tokens, cached_tokens;
};

/* `round`: number of the answer in its conversation, from 0 (chat_calls.h). */
struct chat_stream *chat_stream_new(void *ctx, int round);
/* False: the response exceeds CHAT_ANSWER_MAX. */
bool chat_stream_feed(struct chat_stream *s, const char *bytes, size_t size);
/* The content received since the last call, possibly "", without a character whose end has not come yet.
 * Valid until the next call. */
const char *chat_stream_new_content(struct chat_stream *s);
/* The response is complete. ERR_INVALID: the server has answered and the answer is no whole answer, so that
 * another request would be paid again and fail again: it was cut at max_tokens, filtered, refused, or has no
 * finish_reason. ERR_RETRY: the response holds an error, is malformed, or ended early; another request may
 * help. *why_r is a sentence. The parts of the completion belong to the stream. */
enum err chat_stream_finish(struct chat_stream *s, struct chat_completion *answer_r,
                            const char **why_r) WARN_UNUSED;
/* The tokens that the response has reported so far, also if it is unusable. Servers report them once at the
 * end, or with each event, or the input first; the largest value of each counts. */
void chat_stream_usage(const struct chat_stream *s, int64_t *input_tokens_r, int64_t *output_tokens_r);
/* Those of the input tokens that the provider had in its cache. */
int64_t chat_stream_cached_tokens(const struct chat_stream *s);
