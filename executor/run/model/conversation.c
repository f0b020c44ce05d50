#include "executor/run/model/conversation.h"

#include <string.h>
#include <talloc.h>

#include "workflow/template.h"
#include "json/json.h"

enum { PROMPT_MAX = 1024 * 1024 };

struct conversation {
    const struct manifest *manifest;
    json_object *messages;
};

static void add_message(struct conversation *c, const char *role, const char *content)
{
    json_object *o = json_object_new_object();
    json_object_object_add(o, "role", json_object_new_string(role));
    json_object_object_add(o, "content", json_object_new_string(content));
    json_object_array_add(c->messages, o);
}

enum err conversation_new(void *ctx, const struct manifest *manifest, json_object *inputs,
                          struct conversation **conversation_r, const char **why_r)
{
    struct conversation *c = talloc_zero(ctx, struct conversation);
    struct template_scope scope = {.inputs = inputs};
    char *system = NULL, *prompt = NULL;
    size_t size;
    enum err e = OK;
    *why_r = "the prompt could not be rendered";
    c->manifest = manifest;
    c->messages = json_own(c, json_object_new_array());
    if (manifest->system)
        e = template_render_text(c, manifest->system, &scope, PROMPT_MAX, &system, &size, why_r);
    if (e == OK)
        e = template_render_text(c, manifest->prompt, &scope, PROMPT_MAX, &prompt, &size, why_r);
    if (e != OK)
        return e;
    system = talloc_asprintf(c, "%s%sAnswer with one JSON object that meets this JSON Schema:\n%s",
                             system ? system : "", system ? "\n\n" : "",
                             json_text(manifest->outputs_document, NULL));
    add_message(c, "system", system);
    add_message(c, "user", prompt);
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

/* --- outputs --- */

/* The JSON that the text is, or that stands in its first code fence; NULL: neither. */
static json_object *find_json(void *ctx, const char *text)
{
    json_object *value;
    const char *why;
    if (json_parse_tolerant(ctx, text, strlen(text), JSON_DEPTH_MAX, &value, &why) == OK)
        return value;
    const char *fence = strstr(text, "```");
    const char *from = fence ? strchr(fence, '\n') : NULL;
    const char *to = from ? strstr(from, "```") : NULL;
    if (to && json_parse_tolerant(ctx, from, (size_t)(to - from), JSON_DEPTH_MAX, &value, &why) == OK)
        return value;
    return NULL;
}

/* Text that looks like JSON is not taken for plain text: it was meant to be JSON, and is broken. */
static bool looks_like_json(const char *text)
{
    text += strspn(text, " \t\r\n");
    return *text == '{' || *text == '[' || strncmp(text, "```", 3) == 0;
}

/* Plain text as the outputs of a skill whose single output is a string; NULL otherwise. */
static json_object *wrap_text(struct conversation *c, const char *text)
{
    json_object *properties = json_get(c->manifest->outputs_document, "properties");
    if (looks_like_json(text) || !json_object_is_type(properties, json_type_object) ||
        json_object_object_length(properties) != 1)
        return NULL;
    json_object *outputs = json_own(c, json_object_new_object());
    json_object_object_foreach(properties, name, schema)
    {
        const char *type = json_get_text(schema, "type");
        if (!type || strcmp(type, "string") != 0)
            return NULL;
        json_object_object_add(outputs, name, json_object_new_string(text));
    }
    return outputs;
}

json_object *conversation_outputs(struct conversation *c, const struct chat_completion *answer,
                                  const char **why_r)
{
    struct schema_problems wrong = {0};
    json_object *outputs = find_json(c, answer->content);
    if (!json_object_is_type(outputs, json_type_object) && !answer->was_cut)
        outputs = wrap_text(c, answer->content);
    if (!json_object_is_type(outputs, json_type_object)) {
        *why_r = answer->was_cut ? "the model's answer was truncated at max_tokens"
                                 : "the model's answer is not a single JSON object";
        return NULL;
    }
    if (schema_validate(c, c->manifest->outputs, outputs, &wrong) != OK) {
        *why_r = talloc_asprintf(c, "the outputs do not match the manifest's schema: %s %s",
                                 wrong.count ? wrong.items[0].pointer : "",
                                 wrong.count ? wrong.items[0].message : "");
        return NULL;
    }
    return outputs;
}

/* --- rows --- */

char *chat_completion_to_row(void *ctx, const struct chat_completion *answer)
{
    json_object *row = json_object_new_object();
    json_object_object_add(row, "message", json_object_get(answer->message));
    json_object_object_add(row, "input_tokens", json_object_new_int64(answer->input_tokens));
    json_object_object_add(row, "output_tokens", json_object_new_int64(answer->output_tokens));
    char *text = talloc_strdup(ctx, json_text(row, NULL));
    json_object_put(row);
    return text;
}

bool chat_completion_from_row(void *ctx, const char *row, struct chat_completion *answer_r)
{
    json_object *o;
    const char *why;
    if (json_parse_tolerant(ctx, row, strlen(row), TEMPLATE_DEPTH_MAX, &o, &why) != OK)
        return false;
    json_object *message = json_get(o, "message");
    json_object *calls = json_get(message, "tool_calls");
    const char *content = json_get_text(message, "content");
    *answer_r = (struct chat_completion){
        .content = content ? content : "",
        .message = message,
        .calls = calls ? calls : json_own(ctx, json_object_new_array()),
        .input_tokens = json_object_get_int64(json_get(o, "input_tokens")),
        .output_tokens = json_object_get_int64(json_get(o, "output_tokens")),
    };
    return true;
}
