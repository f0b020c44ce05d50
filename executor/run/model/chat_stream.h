/* The answer of a chat-completions API as it comes in: server-sent events of deltas (`stream: true`), or one
 * JSON object from servers that do not stream. Source of the format: OpenAI's API reference, "Chat
 * Completions", as other servers have taken it up. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { MODEL_ANSWER_MAX = 8 * 1024 * 1024, MODEL_TOOL_CALLS_MAX = 64 };

struct model_stream;

struct model_answer {
    const char *content;  /* "" where there is none */
    json_object *message; /* as it goes back into the conversation */
    json_object *calls;   /* its tool calls, an array: may be empty */
    bool was_cut;         /* max_tokens was reached */
    int64_t input_tokens, output_tokens;
};

struct model_stream *model_stream_new(void *ctx);
/* False: it is larger than may be. */
bool model_stream_feed(struct model_stream *s, const char *bytes, size_t size);
/* What came of the content since the last call; "" where nothing did. Lives until the next. */
const char *model_stream_news(struct model_stream *s);
/* ERR_INVALID: it is no whole answer (*why_r). The answer is the stream's. */
enum err model_stream_finish(struct model_stream *s, struct model_answer *answer_r,
                             const char **why_r) WARN_UNUSED;
