/* The answer of a chat-completions API as it comes in: server-sent events of deltas (`stream: true`), or one
 * JSON object from servers that do not stream. Source of the format: OpenAI's API reference, "Chat
 * Completions", as other servers have taken it up. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { CHAT_ANSWER_MAX = 8 * 1024 * 1024, CHAT_TOOL_CALLS_MAX = 64 };

struct chat_stream;

struct chat_completion {
    const char *content;  /* "" where there is none */
    json_object *message; /* as it goes back into the conversation */
    json_object *calls;   /* its tool calls, an array: may be empty */
    bool was_cut;         /* max_tokens was reached */
    int64_t input_tokens, output_tokens;
};

struct chat_stream *chat_stream_new(void *ctx);
/* False: it is larger than may be. */
bool chat_stream_feed(struct chat_stream *s, const char *bytes, size_t size);
/* What came of the content since the last call; "" where nothing did. Lives until the next. */
const char *chat_stream_new_content(struct chat_stream *s);
/* ERR_INVALID: it is no whole answer (*why_r). The answer is the stream's. */
enum err chat_stream_finish(struct chat_stream *s, struct chat_completion *answer_r,
                            const char **why_r) WARN_UNUSED;
