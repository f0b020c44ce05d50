/* The conversation of a model's run: the messages sent so far, the request that asks for the next one, and
 * the outputs that the last one holds. Pure: no network, no database. The format is that of chat-completions
 * APIs (chat_stream.h). Everything returned is of the conversation, unless a context is given. */
#pragma once

#include "executor/run/model/answer_outputs.h"
#include "executor/run/model/chat_stream.h"
#include "skill/manifest.h"

struct conversation;

/* The system and user messages, rendered from the manifest with the run's inputs. ERR_INVALID, ERR_NOT_FOUND
 * or ERR_LIMIT: the prompt cannot be rendered; *why_r is a sentence. `manifest` is borrowed. */
enum err conversation_new(void *ctx, const struct manifest *manifest, json_object *inputs,
                          struct conversation **conversation_r, const char **why_r) WARN_UNUSED;

/* `message`: as in struct chat_completion. */
void conversation_add_answer(struct conversation *c, json_object *message);
/* `call_id`: the id of the tool call, as the model gave it. */
void conversation_add_tool_result(struct conversation *c, json_object *call_id, const char *result);

/* The body of the request for the next answer. `tools`: manifests of the skills that the model may call. The
 * caller puts the reference. */
json_object *conversation_request(const struct conversation *c, const char *model,
                                  const struct manifest *const *tools, size_t tools_n);

/* The outputs in an answer without tool calls, of ctx: answer_outputs.h. Any thread. */
enum answer_verdict conversation_outputs(const struct conversation *c, void *ctx,
                                         const struct chat_completion *answer, json_object **outputs_r,
                                         const char **why_r);

/* An answer as it is stored in a step's row, and read by a later attempt. Its tokens are those of all
 * requests for it. A row without a message (answer->message NULL) holds the tokens of requests that brought
 * no answer yet. */
char *chat_completion_to_row(void *ctx, const struct chat_completion *answer);
/* False: the row holds no answer; only the tokens are set. */
bool chat_completion_from_row(void *ctx, const char *row, struct chat_completion *answer_r);
