/* Parses the response of a chat-completions API while it arrives: server-sent events with deltas (`stream:
 * true`), or one JSON object from a server that does not stream. Pure. Source of the format: OpenAI's API
 * reference, "Chat Completions", which other servers have adopted. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    /* bytes of one response */
    CHAT_ANSWER_MAX = 8 * 1024 * 1024,
    CHAT_TOOL_CALLS_MAX = 64,
};

struct chat_stream;

struct chat_completion {
    /* "": none */
    const char *content;
    /* the message in the form in which it is sent back with the next request */
    json_object *message;
    /* its tool calls: an array, possibly empty */
    json_object *calls;
    /* truncated at max_tokens */
    bool was_cut;
    /* 0: the server has not reported them */
    int64_t input_tokens, output_tokens;
};

struct chat_stream *chat_stream_new(void *ctx);
/* False: the response exceeds CHAT_ANSWER_MAX. */
bool chat_stream_feed(struct chat_stream *s, const char *bytes, size_t size);
/* The content received since the last call, possibly "". Valid until the next call. */
const char *chat_stream_new_content(struct chat_stream *s);
/* The response is complete. ERR_INVALID: it holds an error, is malformed, or ended early; *why_r is a
 * sentence. The parts of the completion belong to the stream. */
enum err chat_stream_finish(struct chat_stream *s, struct chat_completion *answer_r,
                            const char **why_r) WARN_UNUSED;
