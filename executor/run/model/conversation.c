#include "executor/run/model/conversation.h"

#include <string.h>
#include <talloc.h>

#include "base/text_buffer.h"
#include "workflow/template.h"
#include "json/json.h"

enum { PROMPT_MAX = 1024 * 1024 };
static const char schema_instruction[] = "Answer with one JSON object that meets this JSON Schema:\n";

struct conversation {
    const struct manifest *manifest;
    json_object *messages;
};

/* Takes over `content`. */
static void add_message(struct conversation *c, const char *role, json_object *content)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "role", json_object_new_string(role));
    json_object_object_add(o, "content", content);
    json_object_array_add(c->messages, o);
}

/* The manifest's system text, which may contain NULs, and the schema of the outputs. */
static json_object *system_content(struct conversation *c, const char *system, size_t size)
{
    struct text_buffer text = {0};
    const char *schema = json_text(c->manifest->outputs_document, NULL);
    if (system) {
        text_buffer_append(c, &text, system, size);
        text_buffer_append(c, &text, "\n\n", 2);
    }
    text_buffer_append(c, &text, schema_instruction, sizeof schema_instruction - 1);
    text_buffer_append(c, &text, schema, strlen(schema));
    return json_object_new_string_len(text.text, (int)text.size);
}

enum err conversation_new(void *ctx, const struct manifest *manifest, json_object *inputs,
                          struct conversation **conversation_r, const char **why_r)
{
    struct conversation *c = talloc_zero(ctx, struct conversation);
    struct template_scope scope = {.inputs = inputs};
    char *system = NULL, *prompt = NULL;
    size_t system_size = 0, prompt_size = 0;
    enum err e = OK;
    *why_r = "the prompt could not be rendered";
    c->manifest = manifest;
    c->messages = json_own(c, json_object_new_array());
    if (manifest->system)
        e = template_render_text(c, manifest->system, &scope, PROMPT_MAX, &system, &system_size, why_r);
    if (e == OK)
        e = template_render_text(c, manifest->prompt, &scope, PROMPT_MAX, &prompt, &prompt_size, why_r);
    if (e != OK)
        return e;
    add_message(c, "system", system_content(c, system, system_size));
    add_message(c, "user", json_object_new_string_len(prompt, (int)prompt_size));
    *conversation_r = c;
    return OK;
}

void conversation_add_answer(struct conversation *c, json_object *message)
{
    json_object_array_add(c->messages, json_object_get(message));
}

void conversation_add_tool_result(struct conversation *c, json_object *call_id, const char *result)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "role", json_object_new_string("tool"));
    json_object_object_add(o, "tool_call_id", json_object_get(call_id));
    json_object_object_add(o, "content", json_object_new_string(result));
    json_object_array_add(c->messages, o);
}

/* --- the request --- */

static json_object *describe_tools(const struct manifest *const *tools, size_t tools_n)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < tools_n; i++) {
        json_object *o = json_object_new_object(), *function = json_object_new_object();
        json_object_object_add(o, "type", json_object_new_string("function"));
        json_object_object_add(function, "name", json_object_new_string(tools[i]->slug));
        json_object_object_add(function, "description", json_object_new_string(tools[i]->description));
        json_object_object_add(function, "parameters", json_object_get(tools[i]->inputs_document));
        json_object_object_add(o, "function", function);
        json_object_array_add(list, o);
    }
    return list;
}

json_object *conversation_request(const struct conversation *c, const char *model,
                                  const struct manifest *const *tools, size_t tools_n)
{
    json_object *o = json_object_new_object(), *options = json_object_new_object();
    json_object_object_add(o, "model", json_object_new_string(model));
    json_object_object_add(o, "messages", json_object_get(c->messages));
    json_object_object_add(o, "stream", json_object_new_boolean(true));
    json_object_object_add(options, "include_usage", json_object_new_boolean(true));
    json_object_object_add(o, "stream_options", options);
    if (c->manifest->max_tokens > 0)
        json_object_object_add(o, "max_tokens", json_object_new_int64(c->manifest->max_tokens));
    if (c->manifest->temperature)
        json_object_object_add(o, "temperature", json_object_get(c->manifest->temperature));
    if (tools_n > 0)
        json_object_object_add(o, "tools", describe_tools(tools, tools_n));
    return o;
}

enum answer_verdict conversation_outputs(const struct conversation *c, void *ctx,
                                         const struct chat_completion *answer, json_object **outputs_r,
                                         const char **why_r)
{
    return answer_outputs(ctx, c->manifest, answer->content, answer->content_size, outputs_r, why_r);
}

/* --- rows --- */

char *chat_completion_to_row(void *ctx, const struct chat_completion *answer)
{
    json_object *row = json_object_new_object();
    json_object_object_add(row, "message", json_object_get(answer->message));
    json_object_object_add(row, "input_tokens", json_object_new_int64(answer->input_tokens));
    json_object_object_add(row, "output_tokens", json_object_new_int64(answer->output_tokens));
    if (answer->cached_tokens > 0)
        json_object_object_add(row, "cached_tokens", json_object_new_int64(answer->cached_tokens));
    char *text = talloc_strdup(ctx, json_text(row, NULL));
    json_object_put(row);
    return text;
}

bool chat_completion_from_row(void *ctx, const char *row, struct chat_completion *answer_r)
{
    json_object *o;
    const char *why;
    *answer_r = (struct chat_completion){0};
    if (json_parse_tolerant(ctx, row, strlen(row), TEMPLATE_DEPTH_MAX, &o, &why) != OK)
        return false;
    json_object *message = json_get(o, "message");
    json_object *calls = json_get(message, "tool_calls"), *content = json_get(message, "content");
    *answer_r = (struct chat_completion){
        .content = content ? json_object_get_string(content) : "",
        .content_size = content ? (size_t)json_object_get_string_len(content) : 0,
        .message = message,
        .calls = calls ? calls : json_own(ctx, json_object_new_array()),
        .input_tokens = json_object_get_int64(json_get(o, "input_tokens")),
        .output_tokens = json_object_get_int64(json_get(o, "output_tokens")),
        .cached_tokens = json_object_get_int64(json_get(o, "cached_tokens")),
    };
    return message != NULL;
}
