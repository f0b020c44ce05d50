/* GET, POST /webhooks; GET /webhooks/secret; GET, PATCH, DELETE /webhooks/{id}; POST /webhooks/{id}/test */
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/once_reply.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/webhook_form.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "webhook/delivery.h"
#include "webhook/endpoint.h"
#include "webhook/event.h"
#include "webhook/sealed_response.h"
#include "json/json_write.h"

static void write_events(struct json_write *w, uint32_t events)
{
    json_write_key(w, "events");
    json_write_open(w, '[');
    for (int i = WEBHOOK_STARTED; webhook_event_name((enum webhook_event)i); i++) {
        const char *name = webhook_event_name((enum webhook_event)i);
        if (events & webhook_event_bit((enum webhook_event)i))
            json_write_bytes(w, name, strlen(name));
    }
    json_write_close(w, ']');
}

static void write_webhook(struct json_write *w, const struct webhook *hook, const char *secret)
{
    json_write_open(w, '{');
    json_write_id(w, "id", &hook->id);
    json_write_text(w, "url", hook->url);
    write_events(w, hook->events);
    json_write_key(w, "filter");
    json_write_open(w, '{');
    json_write_id(w, "workflow_id", &hook->workflow_id);
    json_write_json(w, "tags", hook->tags);
    json_write_close(w, '}');
    json_write_text(w, "description", hook->description);
    json_write_flag(w, "enabled", hook->enabled);
    json_write_text(w, "disabled_reason",
                    hook->enabled ? NULL : webhook_disabled_name(hook->disabled_reason));
    json_write_time(w, "disabled_at", hook->enabled ? 0 : hook->disabled_ms, false);
    json_write_time(w, "failing_since", hook->failing_since_ms, false);
    json_write_time(w, "created_at", hook->created_ms, false);
    json_write_time(w, "updated_at", hook->updated_ms, false);
    if (secret)
        json_write_text(w, "secret", secret);
    json_write_close(w, '}');
}

static int reply_webhook(struct request *r, int status, const struct webhook *hook, const char *secret)
{
    struct json_write *w = json_write_new(r);
    write_webhook(w, hook, secret);
    return reply_written(r, status, w);
}

/* --- the body --- */

static bool read_filter(struct request *r, json_object *filter, struct webhook_change *c)
{
    if (!filter)
        return true;
    if (!json_object_is_type(filter, json_type_object))
        return form_reject_value(r, "filter", "an object with workflow_id and tags");
    json_object_object_foreach(filter, name, value)
    {
        struct span id_text = json_span(value);
        if (strcmp(name, "workflow_id") == 0) {
            c->has_workflow = true;
            if (value && !id_parse(id_text.at ? id_text.at : "", id_text.size, &c->workflow_id))
                return form_reject_value(r, "filter.workflow_id", "a UUID");
        } else if (strcmp(name, "tags") == 0) {
            c->has_tags = true;
            if (value && !run_form_tags_fit(value))
                return form_reject_value(r, "filter.tags",
                                         "an array of at most 32 strings of 1 to 256 octets");
            c->tags = value ? talloc_strdup(r, json_text(value, NULL)) : NULL;
        } else {
            return form_reject_value(r, "filter", "an object with workflow_id and tags");
        }
    }
    return true;
}

static bool read_secret(struct request *r, json_object *body, struct webhook_change *c)
{
    json_object *secret = json_get(body, "secret"), *rotate = json_get(body, "rotate_secret");
    if (secret) {
        c->secret = json_plain(secret);
        return (c->secret && webhook_secret_fits(c->secret)) ||
               form_reject_value(r, "secret", "\"whsec_\" and 24 to 64 bytes in base64");
    }
    if (rotate && !json_object_is_type(rotate, json_type_boolean))
        return form_reject_value(r, "rotate_secret", "true or false");
    if (rotate && json_object_get_boolean(rotate)) {
        char *made = talloc_size(r, WEBHOOK_SECRET_SIZE);
        webhook_secret_make(made);
        c->secret = made;
    }
    return true;
}

static bool read_webhook_form(struct request *r, const char *members, struct webhook_change *c)
{
    json_object *body, *value;
    if (!request_json(r, &body))
        return false;
    if (!body)
        return form_reject_value(r, "The body", "a JSON object");
    if (!form_members_are_known(r, body, members))
        return false;
    if ((value = json_get(body, "url")) && !webhook_form_url(r, "url", value, &c->url))
        return false;
    if ((value = json_get(body, "events"))) {
        c->has_events = true;
        if (!webhook_form_events(r, "events", value, WEBHOOK_EVENTS_ALL, &c->events))
            return false;
    }
    if (json_object_object_get_ex(body, "description", &value)) {
        c->has_description = true;
        c->description = json_plain(value);
        if (value && (!c->description || strlen(c->description) > WEBHOOK_DESCRIPTION_MAX))
            return form_reject_value(r, "description", "a string of at most 1024 bytes");
    }
    if ((value = json_get(body, "enabled"))) {
        c->has_enabled = true;
        c->enabled = json_object_get_boolean(value);
        if (!json_object_is_type(value, json_type_boolean))
            return form_reject_value(r, "enabled", "true or false");
    }
    return read_filter(r, json_get(body, "filter"), c) && read_secret(r, body, c);
}

/* --- the handlers --- */

/* It shows the secret, and is stored sealed. */
static enum err respond_created(struct db_tx *tx, struct once *o)
{
    struct request *r = o->ctx;
    const struct webhook *hook = o->arg;
    struct json_write *w = json_write_new(r);
    (void)tx;
    write_webhook(w, hook, hook->secret);
    enum err e = once_respond(o, w);
    if (e == OK && o->key.at)
        o->stored_body = response_seal(r, r->app->webhook_key, &hook->workspace_id, o->response.body);
    return e;
}

int h_webhook_create(struct request *r)
{
    struct webhook_change c = {0};
    struct quotas quotas;
    struct once once = {.respond = respond_created};
    if (!once_read(r, &once, 201))
        return reply_rejected(r);
    if (!read_webhook_form(r, "url events filter description enabled secret", &c) ||
        (!c.url && !form_reject_value(r, "url", "an http or https URL")) || !webhook_form_has_key(r))
        return once_reject(r, &once);
    char made[WEBHOOK_SECRET_SIZE];
    webhook_secret_make(made);
    struct webhook hook = {.id = id_new(),
                           .workspace_id = r->access.workspace_id,
                           .url = c.url,
                           .events = c.has_events ? c.events : WEBHOOK_EVENTS_DEFAULT,
                           .workflow_id = c.workflow_id,
                           .tags = c.tags,
                           .description = c.description,
                           .enabled = !c.has_enabled || c.enabled,
                           .disabled_reason = WEBHOOK_BY_REQUEST,
                           .secret = c.secret ? c.secret : made};
    hook.created_ms = hook.updated_ms = hook.disabled_ms = id_ms(&hook.id);
    once.arg = &hook;
    enum err e = quota_read(r->app->db, r, &r->access.workspace_id, r->app->config, &quotas);
    if (e == OK)
        e = webhook_create(r->app->db, r->app->webhook_key, &hook, quotas.limits[QUOTA_WEBHOOKS], &once);
    if (e == ERR_LIMIT)
        return quota_reply(r, &(struct quota_excess){QUOTA_WEBHOOKS, quotas.limits[QUOTA_WEBHOOKS]});
    return e == OK ? once_reply(r, &once) : reply_err(r, e);
}

int h_webhook_list(struct request *r)
{
    id after;
    int64_t limit;
    struct webhook *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a webhook", &after) ||
        !request_query_int(r, "limit", 1, WEBHOOKS_LIST_MAX, WEBHOOKS_LIST_MAX, &limit))
        return reply_rejected(r);
    enum err e = webhook_list(r->app->db, r, &r->access.workspace_id, &after, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "webhooks", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_webhook(page.w, &list[i], NULL);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].id.text : NULL);
}

int h_webhook_get(struct request *r)
{
    id webhook;
    struct webhook hook;
    if (!request_path_id(r, 0, &webhook))
        return reply_rejected(r);
    enum err e = webhook_get(r->app->db, r, NULL, &r->access.workspace_id, &webhook, &hook);
    return e == OK ? reply_webhook(r, 200, &hook, NULL) : reply_err(r, e);
}

int h_webhook_patch(struct request *r)
{
    id webhook;
    struct webhook_change c = {0};
    struct webhook hook;
    if (!request_path_id(r, 0, &webhook) ||
        !read_webhook_form(r, "url events filter description enabled secret rotate_secret", &c))
        return reply_rejected(r);
    if (c.secret && !webhook_form_has_key(r))
        return reply_rejected(r);
    enum err e =
        webhook_change(r->app->db, r, r->app->webhook_key, &r->access.workspace_id, &webhook, &c, &hook);
    return e == OK ? reply_webhook(r, 200, &hook, c.secret ? hook.secret : NULL) : reply_err(r, e);
}

int h_webhook_delete(struct request *r)
{
    id webhook;
    if (!request_path_id(r, 0, &webhook))
        return reply_rejected(r);
    enum err e = webhook_delete(r->app->db, &r->access.workspace_id, &webhook);
    return e == OK ? reply_empty(r, 204) : reply_err(r, e);
}

int h_webhook_secret(struct request *r)
{
    struct webhook_secrets s;
    if (!webhook_form_has_key(r))
        return reply_rejected(r);
    enum err e = webhook_workspace_secret(r->app->db, r, r->app->webhook_key, &r->access.workspace_id, &s);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_text(w, "secret", s.secret);
    json_write_close(w, '}');
    return reply_written(r, 200, w);
}

static enum err respond_tested(struct db_tx *tx, struct once *o)
{
    struct json_write *w = json_write_new(o->ctx);
    (void)tx;
    json_write_open(w, '{');
    json_write_text(w, "message_id", webhook_message_id(o->ctx, o->arg));
    json_write_close(w, '}');
    return once_respond(o, w);
}

int h_webhook_test(struct request *r)
{
    id webhook, message = id_new();
    struct once once = {.respond = respond_tested, .arg = &message};
    if (!request_path_id(r, 0, &webhook) || !once_read(r, &once, 202))
        return reply_rejected(r);
    enum err e = webhook_test(r->app->db, &r->access.workspace_id, &webhook, &message, &once);
    if (e == ERR_CONFLICT)
        return webhook_reply_disabled(r);
    return e == OK ? once_reply(r, &once) : reply_err(r, e);
}
