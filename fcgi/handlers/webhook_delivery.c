/* GET /webhooks/{id}/deliveries; POST /webhooks/{id}/deliveries/{delivery}/redeliver; POST
 * /webhooks/{id}/redeliver */
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/once_reply.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/webhook_form.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "webhook/delivery.h"
#include "webhook/endpoint.h"
#include "webhook/event.h"
#include "json/json_write.h"

/* The bytes of an answer need not be text; what is not is replaced, byte by byte. */
static const char *printable(struct request *r, const char *bytes, size_t size)
{
    char *text = bytes ? talloc_array(r, char, size + 1) : NULL;
    for (size_t i = 0; bytes && i < size; i++) {
        bool is_text = (bytes[i] >= ' ' && bytes[i] < 0x7f) || bytes[i] == '\n' || bytes[i] == '\t';
        text[i] = '?';
        if (is_text)
            text[i] = bytes[i];
    }
    if (text)
        text[size] = '\0';
    return text;
}

static void write_delivery(struct request *r, struct json_write *w, const struct webhook_delivery *d)
{
    bool pending = d->state == WEBHOOK_PENDING;
    json_write_open(w, '{');
    json_write_id(w, "id", &d->id);
    json_write_text(w, "message_id", webhook_message_id(r, &d->outbox_id));
    json_write_text(w, "event", webhook_event_name(d->event));
    json_write_id(w, "execution_id", &d->execution_id);
    json_write_text(w, "state", webhook_state_name(d->state));
    json_write_int(w, "tries", d->tries);
    json_write_key(w, "status");
    if (d->status > 0)
        json_write_number(w, d->status);
    else
        json_write_null(w);
    json_write_text(w, "error", d->error);
    json_write_text(w, "response", printable(r, d->answer, d->answer_size));
    json_write_time(w, "created_at", d->created_ms, false);
    json_write_time(w, "tried_at", d->tried_ms, false);
    json_write_time(w, "next_try_at", pending ? d->due_ms : 0, false);
    json_write_close(w, '}');
}

/* The webhook of the path. False: the reply is set. */
static bool find_webhook(struct request *r, id *webhook_r)
{
    struct webhook hook;
    if (!request_path_id(r, 0, webhook_r)) {
        reply_rejected(r);
        return false;
    }
    enum err e = webhook_get(r->app->db, r, NULL, &r->access.workspace_id, webhook_r, &hook);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

int h_webhook_deliveries(struct request *r)
{
    id webhook, before;
    int64_t limit;
    struct webhook_delivery *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a delivery", &before) ||
        !request_query_int(r, "limit", 1, WEBHOOK_DELIVERIES_LIST_MAX, 20, &limit))
        return reply_rejected(r);
    if (!find_webhook(r, &webhook))
        return r->reply.status;
    enum err e = webhook_delivery_list(r->app->db, r, &r->access.workspace_id, &webhook, &before, limit + 1,
                                       &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "deliveries", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_delivery(r, page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].id.text : NULL);
}

static int refuse_redelivery(struct request *r, enum err e)
{
    if (e == ERR_DENIED)
        return webhook_reply_disabled(r);
    return reply_problem(r, 403, "quota_exceeded",
                         "The webhook has reached its quota \"webhooks.pending_max\": %lld.",
                         (long long)r->app->config->webhooks.pending_max);
}

static enum err respond_redelivered(struct db_tx *tx, struct once *o)
{
    const struct webhook_redelivery *redelivery = o->arg;
    struct webhook_delivery d;
    struct json_write *w = json_write_new(o->ctx);
    enum err e = webhook_delivery_get(tx->db, o->ctx, redelivery->workspace, redelivery->webhook,
                                      redelivery->delivery, &d);
    if (e != OK)
        return e;
    write_delivery(o->ctx, w, &d);
    return once_respond(o, w);
}

int h_webhook_redeliver(struct request *r)
{
    id webhook, delivery;
    struct webhook_delivery d;
    struct webhook_redelivery redelivery = {.workspace = &r->access.workspace_id,
                                            .webhook = &webhook,
                                            .delivery = &delivery,
                                            .pending_max = r->app->config->webhooks.pending_max};
    struct once once = {.respond = respond_redelivered, .arg = &redelivery};
    if (!request_path_id(r, 1, &delivery) || !once_read(r, &once, 202))
        return reply_rejected(r);
    if (!find_webhook(r, &webhook))
        return once_refuse(r, &once, r->reply.status);
    enum err e = webhook_delivery_get(r->app->db, r, &r->access.workspace_id, &webhook, &delivery, &d);
    if (e == ERR_NOT_FOUND)
        return once_refuse(r, &once, reply_err(r, e));
    if (e == OK)
        e = webhook_redeliver(r->app->db, &redelivery, &once);
    if (e == ERR_CONFLICT)
        return reply_problem(r, 409, "execution_purged", "The execution of this delivery was purged.");
    if (e == ERR_DENIED || e == ERR_LIMIT)
        return refuse_redelivery(r, e);
    return e == OK ? once_reply(r, &once) : reply_err(r, e);
}

static enum err respond_redelivered_since(struct db_tx *tx, struct once *o)
{
    const struct webhook_redelivery *redelivery = o->arg;
    struct json_write *w = json_write_new(o->ctx);
    (void)tx;
    json_write_open(w, '{');
    json_write_int(w, "redelivered", (int64_t)redelivery->n);
    json_write_flag(w, "has_more", redelivery->has_more);
    json_write_close(w, '}');
    return once_respond(o, w);
}

int h_webhook_redeliver_since(struct request *r)
{
    id webhook;
    json_object *body;
    struct webhook_redelivery redelivery = {.workspace = &r->access.workspace_id,
                                            .webhook = &webhook,
                                            .pending_max = r->app->config->webhooks.pending_max};
    struct once once = {.respond = respond_redelivered_since, .arg = &redelivery};
    if (!once_read(r, &once, 202))
        return reply_rejected(r);
    if (!request_json(r, &body))
        return once_reject(r, &once);
    const char *text = body ? json_get_text(body, "since") : NULL;
    int64_t since_ms = text ? clock_parse(text) : -1;
    if ((body && !form_members_are_known(r, body, "since")) ||
        (since_ms < 0 && !form_reject_value(r, "since", "a date or a date-time (RFC 3339)")))
        return once_reject(r, &once);
    if (!find_webhook(r, &webhook))
        return once_refuse(r, &once, r->reply.status);
    redelivery.since_ms = since_ms;
    enum err e = webhook_redeliver(r->app->db, &redelivery, &once);
    if (e == ERR_DENIED || e == ERR_LIMIT)
        return refuse_redelivery(r, e);
    return e == OK ? once_reply(r, &once) : reply_err(r, e);
}
