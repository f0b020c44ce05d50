#include "webhook/delivery.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "account/once.h"
#include "deed/deed.h"
#include "webhook/endpoint.h"

static const char last_id[] = "ffffffff-ffff-ffff-ffff-ffffffffffff";

const char *webhook_state_name(enum webhook_state state)
{
    static const char *const names[] = {[WEBHOOK_PENDING] = "pending",
                                        [WEBHOOK_DELIVERED] = "delivered",
                                        [WEBHOOK_FAILED_FINALLY] = "failed",
                                        [WEBHOOK_DROPPED] = "dropped"};
    return state < sizeof names / sizeof names[0] ? names[state] : NULL;
}

const char *webhook_message_id(void *ctx, const id *outbox)
{
    char *text = talloc_size(ctx, sizeof "msg_" + ID_LENGTH), *end = stpcpy(text, "msg_");
    for (const char *p = outbox->text; *p; p++) {
        if (*p != '-')
            *end++ = *p;
    }
    *end = '\0';
    return text;
}

static struct webhook_delivery delivery_from_row(const struct db_rows *rows, size_t r)
{
    return (struct webhook_delivery){
        .id = db_get_id(rows, r, WEBHOOK_DELIVERY_LIST_ID),
        .webhook_id = db_get_id(rows, r, WEBHOOK_DELIVERY_LIST_WEBHOOK_ID),
        .outbox_id = db_get_id(rows, r, WEBHOOK_DELIVERY_LIST_OUTBOX_ID),
        .execution_id = db_get_id(rows, r, WEBHOOK_DELIVERY_LIST_EXECUTION_ID),
        .event = (enum webhook_event)db_int(rows, r, WEBHOOK_DELIVERY_LIST_EVENT),
        .state = (enum webhook_state)db_int(rows, r, WEBHOOK_DELIVERY_LIST_STATE),
        .tries = (int)db_int(rows, r, WEBHOOK_DELIVERY_LIST_TRIES),
        .status = (int)db_int(rows, r, WEBHOOK_DELIVERY_LIST_STATUS),
        .due_ms = db_int(rows, r, WEBHOOK_DELIVERY_LIST_DUE_MS),
        .error = db_str(rows, r, WEBHOOK_DELIVERY_LIST_ERROR),
        .answer = db_str(rows, r, WEBHOOK_DELIVERY_LIST_ANSWER),
        .answer_size = db_cell(rows, r, WEBHOOK_DELIVERY_LIST_ANSWER)->size,
        .created_ms = db_int(rows, r, WEBHOOK_DELIVERY_LIST_CREATED_MS),
        .tried_ms = db_int(rows, r, WEBHOOK_DELIVERY_LIST_TRIED_MS),
    };
}

enum err webhook_delivery_list(struct db *db, void *ctx, const id *workspace, const id *webhook,
                               const id *before, int64_t limit, struct webhook_delivery **list_r, size_t *n_r)
{
    struct db_value args[] = {db_id(webhook), db_id(workspace),
                              id_is_set(before) ? db_id(before) : db_text(last_id), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WEBHOOK_DELIVERY_LIST, args, 4, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *list_r = talloc_array(ctx, struct webhook_delivery, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[i] = delivery_from_row(rows, i);
    return OK;
}

enum err webhook_delivery_get(struct db *db, void *ctx, const id *workspace, const id *webhook,
                              const id *delivery, struct webhook_delivery *d_r)
{
    struct db_value args[] = {db_id(webhook), db_id(workspace), db_id(delivery)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WEBHOOK_DELIVERY_GET, args, 3, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *d_r = delivery_from_row(rows, 0);
    return e;
}

/* The pending deliveries of an endpoint; not exact while its lane is in use. */
static enum err read_pending(struct db_tx *tx, const id *webhook, int64_t *pending_r)
{
    struct db_value lane = db_id(webhook);
    struct db_rows *rows;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_LANE_PENDING, NULL, 0, &lane, 1, 1, &rows);
    *pending_r = e == OK && rows->count > 0 ? db_int(rows, 0, WEBHOOK_LANE_PENDING_PENDING) : 0;
    return e;
}

/* *added_r: deliveries that were not pending. */
static enum err make_one_pending(struct db_tx *tx, struct webhook_redelivery *r, int64_t now_ms, int64_t room,
                                 int64_t *added_r)
{
    struct db_value args[] = {db_number(now_ms), db_id(r->webhook), db_id(r->workspace), db_id(r->delivery)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_DELIVERY_STATE, args + 1, 3, &rows);
    if (e == OK && rows->count == 0)
        return ERR_CONFLICT;
    *added_r = e == OK && db_int(rows, 0, WEBHOOK_DELIVERY_STATE_STATE) != WEBHOOK_PENDING;
    if (e == OK && *added_r > room)
        return ERR_LIMIT;
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_REDELIVER, args, 4, &rows);
    r->n = e == OK ? rows->affected : 0;
    return e == OK && r->n == 0 ? ERR_CONFLICT : e;
}

static enum err make_failures_pending(struct db_tx *tx, struct webhook_redelivery *r, int64_t now_ms,
                                      int64_t room, int64_t *added_r)
{
    id since = id_floor(r->since_ms);
    int64_t most = room < WEBHOOK_REDELIVER_MAX ? room : WEBHOOK_REDELIVER_MAX;
    struct db_value args[] = {db_number(now_ms), db_id(r->webhook),      db_id(r->workspace),
                              db_id(&since),     db_number(r->since_ms), db_number(most)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_REDELIVER_SINCE, args, 6, &rows);
    r->n = e == OK ? rows->affected : 0;
    *added_r = (int64_t)r->n;
    if (e != OK || *added_r < most)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_FAILURES_SINCE, args + 1, 4, &rows);
    r->has_more = e == OK && rows->count > 0;
    return e == OK && r->has_more && most == 0 ? ERR_LIMIT : e;
}

/* The endpoint is locked. */
static enum err make_pending(struct db_tx *tx, struct webhook_redelivery *r)
{
    int64_t now_ms, pending, added = 0;
    enum err e = webhook_now(tx->db, tx->ctx, &now_ms);
    if (e == OK)
        e = read_pending(tx, r->webhook, &pending);
    if (e != OK)
        return e;
    int64_t room = r->pending_max > pending ? r->pending_max - pending : 0;
    e = r->delivery ? make_one_pending(tx, r, now_ms, room, &added)
                    : make_failures_pending(tx, r, now_ms, room, &added);
    if (e != OK)
        return e;
    struct db_value lane[WEBHOOK_LANE_WAKE_SET_COUNT] = {
        [WEBHOOK_LANE_WAKE_SET_ID] = db_id(r->webhook),
        [WEBHOOK_LANE_WAKE_SET_WORKSPACE_ID] = db_id(r->workspace),
        [WEBHOOK_LANE_WAKE_SET_WEBHOOK_ID] = db_id(r->webhook),
        [WEBHOOK_LANE_WAKE_SET_DUE_MS] = db_number(now_ms),
        [WEBHOOK_LANE_WAKE_SET_PENDING] = db_number(added),
    };
    return db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_LANE_WAKE, NULL, 0, lane, WEBHOOK_LANE_WAKE_SET_COUNT, 1,
                       NULL);
}

/* Locks as lib/webhook/lane.c: the endpoint, its deliveries, its lane. A run that finds its committed deed
 * reports what the run before it has found. */
static enum err redeliver_work(struct db_tx *tx, void *arg)
{
    struct webhook_redelivery *r = arg;
    struct db_value args[] = {db_id(r->workspace), db_id(r->webhook)};
    struct db_rows *rows;
    bool committed = false;
    enum err e = deed_hold(tx, r->workspace);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_LOCK, args, 2, &rows);
    if (e == OK)
        e = deed_find_committed(tx, "webhook.redeliver", r->workspace, r->webhook->text, &committed);
    if (e != OK || committed)
        return e;
    r->n = 0;
    r->has_more = false;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    if (db_int(rows, 0, WEBHOOK_GET_ENABLED) == 0)
        return ERR_DENIED;
    e = make_pending(tx, r);
    const struct deed_detail detail[] = {{"deliveries", talloc_asprintf(tx->ctx, "%" PRIu64, r->n)}, {0}};
    return e == OK ? deed_record(tx, "webhook.redeliver", r->workspace, r->webhook->text, detail) : e;
}

enum err webhook_redeliver(struct db *db, struct webhook_redelivery *r, struct once *once)
{
    return once_transaction(db, once, redeliver_work, r);
}
