#include "fcgi/forms/run_form.h"

#include <string.h>
#include <talloc.h>

#include "fcgi/forms/form.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "schema/schema.h"
#include "json/json.h"

static bool tags_are_valid(json_object *tags)
{
    if (!json_object_is_type(tags, json_type_array) || json_object_array_length(tags) > RUN_TAGS_MAX)
        return false;
    for (size_t i = 0; i < json_object_array_length(tags); i++) {
        json_object *tag = json_object_array_get_idx(tags, i);
        if (!json_object_is_type(tag, json_type_string) || json_object_get_string_len(tag) < 1 ||
            json_object_get_string_len(tag) > RUN_TAG_MAX)
            return false;
    }
    return true;
}

/* The tags without duplicates, because each tag is one row. */
static struct span unique_tags(struct request *r, json_object *tags)
{
    json_object *unique = json_own(r, json_object_new_array());
    for (size_t i = 0; i < json_object_array_length(tags); i++) {
        json_object *tag = json_object_array_get_idx(tags, i);
        bool seen = false;
        for (size_t k = 0; k < json_object_array_length(unique) && !seen; k++)
            seen = json_equal(json_object_array_get_idx(unique, k), tag);
        if (!seen)
            json_object_array_add(unique, json_object_get(tag));
    }
    struct span s;
    s.at = json_text(unique, &s.size);
    return s;
}

/* Reads an optional string of the chat object, 1 to 256 octets. False if it is something else. */
static bool read_chat_text(json_object *chat, const char *name, struct span *span_r)
{
    json_object *value = json_get(chat, name);
    if (!value)
        return true;
    if (!json_object_is_type(value, json_type_string))
        return false;
    *span_r = (struct span){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return span_r->size >= 1 && span_r->size <= RUN_CHAT_TEXT_MAX;
}

bool run_form_read_chat(json_object *chat, struct run_request *req)
{
    struct span message = {0};
    if (!chat)
        return true;
    req->source = SOURCE_CHAT;
    return json_object_is_type(chat, json_type_object) &&
           read_chat_text(chat, "thread_id", &req->thread_id) &&
           read_chat_text(chat, "tool_call_id", &req->tool_call_id) &&
           read_chat_text(chat, "message_id", &message) &&
           (!message.at || id_parse(message.at, message.size, &req->message_id));
}

bool run_form_read_payload(struct request *r, json_object *body, struct run_request *req)
{
    json_object *tags = json_get(body, "tags");
    json_object *metadata = json_get(body, "metadata");
    if (tags && !tags_are_valid(tags))
        return form_reject_value(r, "tags", "an array of at most 32 strings of 1 to 256 octets");
    if (metadata && !json_object_is_type(metadata, json_type_object))
        return form_reject_value(r, "metadata", "an object");
    req->input = form_raw_member(r, body, "inputs");
    req->metadata = form_raw_member(r, body, "metadata");
    if (tags)
        req->tags = unique_tags(r, tags);
    return true;
}

static bool read_members(struct request *r, json_object *body, struct run_request *req)
{
    if (!run_form_read_payload(r, body, req))
        return false;
    if (!run_form_read_chat(json_get(body, "chat"), req))
        return form_reject_value(r, "chat", RUN_CHAT_RULE);
    return true;
}

bool run_form_read(struct request *r, struct run_request *req)
{
    json_object *body;
    if (!request_json(r, &body))
        return false;
    return !body ||
           (form_members_are_known(r, body, "inputs tags metadata chat") && read_members(r, body, req));
}

bool run_form_read_item(struct request *r, struct run_request *req)
{
    json_object *body;
    if (!request_json(r, &body))
        return false;
    if (!form_members_are_known(r, body, "inputs tags metadata chat idempotency_key") ||
        !read_members(r, body, req))
        return false;
    json_object *key = json_get(body, "idempotency_key");
    if (!key)
        return true;
    req->idempotency_key = json_span(key);
    if (req->idempotency_key.size < 1 || req->idempotency_key.size > IDEMPOTENCY_KEY_MAX)
        return form_reject_value(r, "idempotency_key", "a string of 1 to 256 octets");
    request_fingerprint(r, req->fingerprint);
    return true;
}

bool run_form_check_inputs(struct request *r, const struct run_request *req, const struct schema *schema)
{
    static const char empty_object[] = "{}";
    struct span raw = req->input.at ? req->input : (struct span){empty_object, sizeof empty_object - 1};
    struct schema_problems found = {0};
    json_object *inputs;
    const char *why = "";
    enum err e = json_parse(r, raw.at, raw.size, JSON_DEPTH_MAX, &inputs, &why);
    if (e == OK && !json_object_is_type(inputs, json_type_object)) {
        e = ERR_INVALID;
        why = "must be an object";
    } else if (e == OK && schema) {
        e = form_validate(r, schema, inputs, &found);
    }
    if (e == ERR_RETRY)
        return false;
    if (e == OK)
        return true;
    struct json_problems *p = form_input_problems(r, &found);
    if (p->total == 0)
        json_problems_add(p, "/inputs", "%s", why);
    reply_problems(r, 422, "invalid_inputs", p, "The inputs do not match the %s's schema.",
                   req->kind == KIND_SKILL ? "skill" : "workflow");
    return false;
}
