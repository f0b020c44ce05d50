#include "fcgi/forms/run_form.h"

#include <math.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/webhook_form.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "outbox/outbox.h"
#include "run/delayed.h"
#include "schema/schema.h"
#include "store/quota.h"
#include "json/json.h"

#define RUN_MEMBERS "inputs tags metadata chat webhook " RUN_TIME_MEMBERS

bool run_form_tags_fit(json_object *tags)
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

bool run_form_read_webhook(struct request *r, json_object *webhook, struct run_request *req)
{
    const char *url;
    if (!webhook)
        return true;
    if (!webhook_form_has_key(r))
        return false;
    json_object *events = json_get(webhook, "events");
    if (!json_object_is_type(webhook, json_type_object) ||
        json_object_object_length(webhook) != 1 + (events != NULL))
        return form_reject_value(r, "webhook", "an object with url and events");
    if (!webhook_form_url(r, "webhook.url", json_get(webhook, "url"), &url))
        return false;
    req->webhook_url = span_text(url);
    req->webhook_events = WEBHOOK_EVENTS_DEFAULT;
    return !events ||
           webhook_form_events(r, "webhook.events", events, WEBHOOK_EVENTS_OF_RUNS, &req->webhook_events);
}

/* A number of seconds as milliseconds, rounded up; -1: it is not a number from `least` to the most. */
static int64_t seconds_to_ms(json_object *value, double least)
{
    if (!json_object_is_type(value, json_type_int) && !json_object_is_type(value, json_type_double))
        return -1;
    double seconds = json_object_get_double(value);
    return seconds >= least && seconds <= DELAYED_SECONDS_MAX ? (int64_t)ceil(seconds * 1000) : -1;
}

/* Reads a time that is given as a moment (`at_name`) or from now on (`in_name`). *ms_r: 0: neither. */
static bool read_time(struct request *r, json_object *body, const char *at_name, const char *in_name,
                      double least, int64_t *ms_r)
{
    json_object *at = json_get(body, at_name);
    json_object *in = json_get(body, in_name);
    if (at && in)
        return request_reject(r, 400, "invalid_request", "%s and %s cannot be combined.", at_name, in_name);
    if (at) {
        const char *text = json_get_text(body, at_name);
        *ms_r = text && strlen(text) == (size_t)json_object_get_string_len(at) ? clock_parse(text) : -1;
        return *ms_r >= 0 || form_reject_value(r, at_name, "a date or date-time (RFC 3339)");
    }
    if (in) {
        *ms_r = seconds_to_ms(in, least);
        if (*ms_r < 0)
            return form_reject_value(r, in_name, "a number of seconds, at most 31622400 (366 days)");
        *ms_r += *ms_r > 0 ? clock_wall_ms() : 0;
    }
    return true;
}

bool run_form_read_times(struct request *r, json_object *body, struct run_request *req)
{
    if (!read_time(r, body, "start_at", "delay_seconds", 0, &req->start_ms) ||
        !read_time(r, body, "expires_at", "ttl_seconds", 0.001, &req->expires_ms))
        return false;
    if (req->start_ms <= clock_wall_ms())
        req->start_ms = 0;
    return true;
}

bool run_form_check_times(struct request *r, struct run_request *req)
{
    const int64_t now_ms = clock_wall_ms(), last_ms = now_ms + DELAYED_SECONDS_MAX * 1000LL;
    struct quotas quotas;
    if (req->start_ms > last_ms)
        return form_reject_value(r, "start_at", "at most 366 days ahead");
    if (req->expires_ms > 0 && (req->expires_ms <= now_ms || req->expires_ms > last_ms))
        return form_reject_value(r, "expires_at", "a time that has not passed, at most 366 days ahead");
    if (req->start_ms == 0)
        return true;
    enum err e = quota_read(r->app->db, r, &req->workspace_id, r->app->config, &quotas);
    if (e != OK)
        reply_err(r, e);
    req->delayed_limit = quotas.limits[QUOTA_DELAYED_RUNS];
    return e == OK;
}

bool run_form_read_payload(struct request *r, json_object *body, struct run_request *req)
{
    json_object *tags = json_get(body, "tags");
    json_object *metadata = json_get(body, "metadata");
    if (tags && !run_form_tags_fit(tags))
        return form_reject_value(r, "tags", "an array of at most 32 strings of 1 to 256 octets");
    if (metadata && !json_object_is_type(metadata, json_type_object))
        return form_reject_value(r, "metadata", "an object");
    req->input = form_raw_member(r, body, "inputs");
    r->inputs = (struct request_inputs){req->input.at, json_get(body, "inputs")};
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
    return run_form_read_webhook(r, json_get(body, "webhook"), req) && run_form_read_times(r, body, req);
}

bool run_form_read(struct request *r, struct run_request *req)
{
    json_object *body;
    if (!request_json(r, &body))
        return false;
    return !body || (form_members_are_known(r, body, RUN_MEMBERS) && read_members(r, body, req));
}

bool run_form_read_item(struct request *r, struct run_request *req)
{
    json_object *body;
    if (!request_object(r, &body))
        return false;
    if (!form_members_are_known(r, body, RUN_MEMBERS " idempotency_key") || !read_members(r, body, req))
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

/* Inputs that stand in the body were parsed with it. */
static enum err parse_inputs(struct request *r, struct span raw, json_object **inputs_r, const char **why_r)
{
    if (raw.at != r->inputs.at)
        return json_parse(r, raw.at, raw.size, JSON_DEPTH_MAX, inputs_r, why_r);
    *inputs_r = r->inputs.value;
    return OK;
}

bool run_form_check_inputs(struct request *r, const struct run_request *req, const struct schema *schema)
{
    static const char empty_object[] = "{}";
    struct span raw = req->input.at ? req->input : (struct span){empty_object, sizeof empty_object - 1};
    struct schema_problems found = {0};
    json_object *inputs;
    const char *why = "";
    enum err e = parse_inputs(r, raw, &inputs, &why);
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
