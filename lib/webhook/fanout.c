#include "webhook/fanout.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "webhook/body.h"
#include "webhook/delivery.h"
#include "webhook/endpoint.h"
#include "webhook/event.h"
#include "webhook/turn.h"
#include "json/json.h"

/* Of one transaction: no further message is begun. */
enum { DELIVERIES_MAX = 5000 };

/* A delivery that is to be written. */
struct delivery {
    id id, lane_id;
    /* NULL: an own webhook of the run, which has the URL. */
    const id *webhook_id;
    const char *url;
    const struct webhook_message *m;
    /* There are too many pending ones: it fails at once. */
    bool refused;
};

struct lane {
    id id, workspace_id;
    const id *webhook_id;
    /* Pending deliveries that are added. */
    int64_t added;
};

/* Pending deliveries of an endpoint, or of all own webhooks of a workspace. */
struct backlog {
    id id;
    int64_t pending;
};

struct fanout {
    struct db_tx *tx;
    const struct db_rows *rows;
    struct webhook *endpoints;
    size_t endpoints_n;
    int64_t now_ms;
    int64_t pending_max;
    struct delivery *deliveries;
    /* sorted, without duplicates */
    struct lane *lanes;
    struct db_value *messages, *unwanted;
    /* Messages of events that only a later version knows. */
    struct db_value *later;
    size_t deliveries_n, lanes_n, messages_n, unwanted_n, later_n;
};

/* The id of the lane of a run's own webhook: a hash of workspace and host, as a UUID of version 8. */
static id own_lane(void *ctx, const id *workspace, const char *url)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char hex[2 * 16 + 1], text[ID_LENGTH + 1];
    id lane;
    const char *name = talloc_asprintf(ctx, "%s %s", workspace->text, webhook_host(ctx, url));
    crypto_hash_sha256(hash, (const uint8_t *)name, strlen(name));
    hash[6] = (uint8_t)(0x80 | (hash[6] & 0x0f));
    hash[8] = (uint8_t)(0x80 | (hash[8] & 0x3f));
    /* MariaDB's type takes no UUID of version 8 whose octet here is 80 ("Incorrect uuid value") */
    hash[8] = hash[8] == 0x80 ? 0x81 : hash[8];
    sodium_bin2hex(hex, sizeof hex, hash, 16);
    snprintf(text, sizeof text, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    (void)id_parse(text, ID_LENGTH, &lane);
    return lane;
}

/* True if each of the wanted tags is one of the run's. Both are JSON arrays. */
static bool has_tags(void *ctx, const char *wanted, const char *tags)
{
    json_object *want, *have = NULL;
    const char *why;
    if (!wanted)
        return true;
    if (!tags || json_parse_tolerant(ctx, wanted, strlen(wanted), 2, &want, &why) != OK ||
        json_parse_tolerant(ctx, tags, strlen(tags), 2, &have, &why) != OK)
        return false;
    for (size_t i = 0; i < json_object_array_length(want); i++) {
        bool found = false;
        for (size_t k = 0; k < json_object_array_length(have) && !found; k++)
            found = json_equal(json_object_array_get_idx(want, i), json_object_array_get_idx(have, k));
        if (!found)
            return false;
    }
    return true;
}

static bool wants(struct fanout *f, const struct webhook *w, const struct webhook_message *m, size_t r)
{
    if (!id_equal(&w->workspace_id, &m->workspace_id))
        return false;
    if (m->event == WEBHOOK_TEST)
        return id_equal(&w->id, &m->webhook_id);
    if (!(w->events & webhook_event_bit(m->event)) || id_equal(&w->id, &m->webhook_id))
        return false;
    if (!id_is_set(&m->execution_id))
        return true;
    return (!id_is_set(&w->workflow_id) || id_equal(&w->workflow_id, &m->responder_id)) &&
           has_tags(f->tx->ctx, w->tags, db_str(f->rows, r, WEBHOOK_OUTBOX_NEXT_TAGS));
}

static void add_delivery(struct fanout *f, const struct webhook_message *m, const id *webhook, const id *lane,
                         const char *url)
{
    if (f->deliveries_n == talloc_array_length(f->deliveries))
        f->deliveries = talloc_realloc(f->tx->ctx, f->deliveries, struct delivery, 2 * f->deliveries_n + 64);
    f->deliveries[f->deliveries_n++] =
        (struct delivery){.id = id_new(), .lane_id = *lane, .webhook_id = webhook, .url = url, .m = m};
}

static struct webhook_message *message_from_row(void *ctx, const struct db_rows *rows, size_t r)
{
    struct webhook_message *m = talloc(ctx, struct webhook_message);
    const struct db_cell *data = db_cell(rows, r, WEBHOOK_OUTBOX_NEXT_BODY);
    *m = (struct webhook_message){
        .id = db_get_id(rows, r, WEBHOOK_OUTBOX_NEXT_ID),
        .workspace_id = db_get_id(rows, r, WEBHOOK_OUTBOX_NEXT_WORKSPACE_ID),
        .execution_id = db_get_id(rows, r, WEBHOOK_OUTBOX_NEXT_EXECUTION_ID),
        .webhook_id = db_get_id(rows, r, WEBHOOK_OUTBOX_NEXT_WEBHOOK_ID),
        .event = (enum webhook_event)db_int(rows, r, WEBHOOK_OUTBOX_NEXT_EVENT),
        .at_ms = db_int(rows, r, WEBHOOK_OUTBOX_NEXT_AT_MS),
        .data = data->is_null ? NULL : data->text,
        .data_size = data->is_null ? 0 : data->size,
        .responder_id = db_get_id(rows, r, WEBHOOK_OUTBOX_NEXT_RESPONDER_ID),
        .root_id = db_get_id(rows, r, WEBHOOK_OUTBOX_NEXT_ROOT_ID),
        .parent_id = db_get_id(rows, r, WEBHOOK_OUTBOX_NEXT_PARENT_ID),
        .kind = (enum responder_kind)db_int(rows, r, WEBHOOK_OUTBOX_NEXT_KIND),
        .reason = (enum failure_reason)db_int(rows, r, WEBHOOK_OUTBOX_NEXT_FAILURE_REASON),
        .cost = db_int(rows, r, WEBHOOK_OUTBOX_NEXT_COST),
        .refunded = db_int(rows, r, WEBHOOK_OUTBOX_NEXT_REFUNDED),
        .started_ms = db_int(rows, r, WEBHOOK_OUTBOX_NEXT_STARTED_MS),
        .ended_ms = db_int(rows, r, WEBHOOK_OUTBOX_NEXT_ENDED_MS),
    };
    return m;
}

static void fan_out_message(struct fanout *f, size_t r)
{
    struct webhook_message *m = message_from_row(f->tx->ctx, f->rows, r);
    const char *url = db_str(f->rows, r, WEBHOOK_OUTBOX_NEXT_WEBHOOK_URL);
    uint32_t own = (uint32_t)db_int(f->rows, r, WEBHOOK_OUTBOX_NEXT_WEBHOOK_EVENTS);
    size_t before = f->deliveries_n, size;
    if (!webhook_event_name(m->event)) {
        f->later[f->later_n++] = db_id(&m->id);
        return;
    }
    bool purged = !db_cell(f->rows, r, WEBHOOK_OUTBOX_NEXT_PURGED_MS)->is_null ||
                  (id_is_set(&m->execution_id) && !id_is_set(&m->responder_id));
    for (size_t i = 0; i < f->endpoints_n && !purged; i++) {
        if (wants(f, &f->endpoints[i], m, r))
            add_delivery(f, m, &f->endpoints[i].id, &f->endpoints[i].id, NULL);
    }
    if (url && (own & webhook_event_bit(m->event)) && !purged) {
        id lane = own_lane(f->tx->ctx, &m->workspace_id, url);
        add_delivery(f, m, NULL, &lane, url);
    }
    if (f->deliveries_n == before) {
        f->unwanted[f->unwanted_n++] = db_id(&m->id);
        return;
    }
    const char *body = webhook_body(f->tx->ctx, m, &size);
    struct db_value *v = &f->messages[f->messages_n++ * WEBHOOK_OUTBOX_FAN_SET_COUNT];
    v[WEBHOOK_OUTBOX_FAN_SET_ID] = db_id(&m->id);
    v[WEBHOOK_OUTBOX_FAN_SET_WORKSPACE_ID] = db_id(&m->workspace_id);
    v[WEBHOOK_OUTBOX_FAN_SET_EVENT] = db_number(m->event);
    v[WEBHOOK_OUTBOX_FAN_SET_AT_MS] = db_number(m->at_ms);
    v[WEBHOOK_OUTBOX_FAN_SET_BODY] = db_bytes(body, size);
}

static enum err read_endpoints(struct fanout *f)
{
    void *ctx = f->tx->ctx;
    id *workspaces = talloc_array(ctx, id, f->rows->count + 1);
    struct db_value *values = talloc_array(ctx, struct db_value, f->rows->count + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < f->rows->count; i++)
        workspaces[i] = db_get_id(f->rows, i, WEBHOOK_OUTBOX_NEXT_WORKSPACE_ID);
    size_t n = id_sort_distinct(workspaces, f->rows->count);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&workspaces[i]);
    enum err e = db_run_each(f->tx->db, ctx, SQL_WEBHOOK_OF_WORKSPACES, NULL, 0, values, 1, n, &rows);
    if (e != OK)
        return e;
    f->endpoints = talloc_array(ctx, struct webhook, rows->count + 1);
    f->endpoints_n = rows->count;
    for (size_t i = 0; i < rows->count; i++)
        f->endpoints[i] = webhook_from_row(rows, i);
    return OK;
}

static int compare_lanes(const void *a, const void *b)
{
    const struct lane *x = a, *y = b;
    return strcmp(x->id.text, y->id.text);
}

static void collect_lanes(struct fanout *f)
{
    size_t n = 0;
    f->lanes = talloc_array(f->tx->ctx, struct lane, f->deliveries_n + 1);
    for (size_t i = 0; i < f->deliveries_n; i++) {
        const struct delivery *d = &f->deliveries[i];
        f->lanes[i] = (struct lane){d->lane_id, d->m->workspace_id, d->webhook_id, 0};
    }
    if (f->deliveries_n > 0)
        qsort(f->lanes, f->deliveries_n, sizeof *f->lanes, compare_lanes);
    for (size_t i = 0; i < f->deliveries_n; i++) {
        if (n == 0 || compare_lanes(&f->lanes[n - 1], &f->lanes[i]) != 0)
            f->lanes[n++] = f->lanes[i];
    }
    f->lanes_n = n;
}

static const id *backlog_key(const struct lane *lane)
{
    return lane->webhook_id ? &lane->id : &lane->workspace_id;
}

static int compare_backlogs(const void *a, const void *b)
{
    const struct backlog *x = a, *y = b;
    return strcmp(x->id.text, y->id.text);
}

/* Reads the backlogs of endpoints, or those of own webhooks, into list_r. Without locks: the limit need not
 * be exact. */
static enum err read_backlogs(struct fanout *f, bool own, struct backlog *list_r, size_t *n_r)
{
    id *keys = talloc_array(f->tx->ctx, id, f->lanes_n + 1);
    struct db_value *values = talloc_array(f->tx->ctx, struct db_value, f->lanes_n + 1);
    struct db_rows *rows;
    size_t n = 0;
    for (size_t i = 0; i < f->lanes_n; i++) {
        if (own == !f->lanes[i].webhook_id)
            keys[n++] = *backlog_key(&f->lanes[i]);
    }
    n = id_sort_distinct(keys, n);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&keys[i]);
    enum err e = db_run_each(f->tx->db, f->tx->ctx, own ? SQL_WEBHOOK_OWN_PENDING : SQL_WEBHOOK_LANE_PENDING,
                             NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && i < n; i++)
        list_r[*n_r + i] = (struct backlog){keys[i], 0};
    if (e == OK && n > 0)
        qsort(list_r + *n_r, n, sizeof *list_r, compare_backlogs);
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        struct backlog key = {.id = db_get_id(rows, i, WEBHOOK_LANE_PENDING_ID)};
        struct backlog *b = bsearch(&key, list_r + *n_r, n, sizeof *b, compare_backlogs);
        if (b)
            b->pending = db_int(rows, i, WEBHOOK_LANE_PENDING_PENDING);
    }
    *n_r += e == OK ? n : 0;
    return e;
}

/* Refuses deliveries beyond the limit, and counts the others for their lanes. */
static enum err limit_deliveries(struct fanout *f)
{
    struct backlog *list = talloc_array(f->tx->ctx, struct backlog, 2 * f->lanes_n + 1);
    size_t n = 0;
    enum err e = read_backlogs(f, false, list, &n);
    if (e == OK)
        e = read_backlogs(f, true, list, &n);
    if (e != OK || n == 0)
        return e;
    qsort(list, n, sizeof *list, compare_backlogs);
    for (size_t i = 0; i < f->deliveries_n; i++) {
        struct delivery *d = &f->deliveries[i];
        struct lane lane_key = {.id = d->lane_id};
        struct lane *lane = bsearch(&lane_key, f->lanes, f->lanes_n, sizeof *lane, compare_lanes);
        struct backlog key = {.id = *backlog_key(lane)};
        struct backlog *b = bsearch(&key, list, n, sizeof *b, compare_backlogs);
        d->refused = b->pending >= f->pending_max;
        b->pending += !d->refused;
        lane->added += !d->refused;
    }
    return OK;
}

static enum err insert_deliveries(struct fanout *f)
{
    struct db_value *values =
        talloc_array(f->tx->ctx, struct db_value, f->deliveries_n * WEBHOOK_DELIVERY_INSERT_SET_COUNT + 1);
    for (size_t i = 0; i < f->deliveries_n; i++) {
        const struct delivery *d = &f->deliveries[i];
        struct db_value *v = &values[i * WEBHOOK_DELIVERY_INSERT_SET_COUNT];
        v[WEBHOOK_DELIVERY_INSERT_SET_ID] = db_id(&d->id);
        v[WEBHOOK_DELIVERY_INSERT_SET_WORKSPACE_ID] = db_id(&d->m->workspace_id);
        v[WEBHOOK_DELIVERY_INSERT_SET_WEBHOOK_ID] = d->webhook_id ? db_id(d->webhook_id) : db_null();
        v[WEBHOOK_DELIVERY_INSERT_SET_OUTBOX_ID] = db_id(&d->m->id);
        v[WEBHOOK_DELIVERY_INSERT_SET_EXECUTION_ID] = db_id(&d->m->execution_id);
        v[WEBHOOK_DELIVERY_INSERT_SET_LANE_ID] = db_id(&d->lane_id);
        v[WEBHOOK_DELIVERY_INSERT_SET_URL] = db_text(d->url);
        v[WEBHOOK_DELIVERY_INSERT_SET_STATE] =
            db_number(d->refused ? WEBHOOK_FAILED_FINALLY : WEBHOOK_PENDING);
        v[WEBHOOK_DELIVERY_INSERT_SET_DUE_MS] = db_number(f->now_ms);
        v[WEBHOOK_DELIVERY_INSERT_SET_ERROR] =
            db_text(d->refused ? "Too many deliveries are pending (webhooks.pending_max)." : NULL);
        v[WEBHOOK_DELIVERY_INSERT_SET_CREATED_MS] = db_number(f->now_ms);
    }
    return db_run_each(f->tx->db, f->tx->ctx, SQL_WEBHOOK_DELIVERY_INSERT, NULL, 0, values,
                       WEBHOOK_DELIVERY_INSERT_SET_COUNT, f->deliveries_n, NULL);
}

static enum err wake_lanes(struct fanout *f)
{
    struct db_value *values =
        talloc_array(f->tx->ctx, struct db_value, f->lanes_n * WEBHOOK_LANE_WAKE_SET_COUNT + 1);
    size_t n = 0;
    for (size_t i = 0; i < f->lanes_n; i++) {
        const struct lane *lane = &f->lanes[i];
        if (lane->added == 0)
            continue;
        struct db_value *v = &values[n++ * WEBHOOK_LANE_WAKE_SET_COUNT];
        v[WEBHOOK_LANE_WAKE_SET_ID] = db_id(&lane->id);
        v[WEBHOOK_LANE_WAKE_SET_WORKSPACE_ID] = db_id(&lane->workspace_id);
        v[WEBHOOK_LANE_WAKE_SET_WEBHOOK_ID] = lane->webhook_id ? db_id(lane->webhook_id) : db_null();
        v[WEBHOOK_LANE_WAKE_SET_DUE_MS] = db_number(f->now_ms);
        v[WEBHOOK_LANE_WAKE_SET_PENDING] = db_number(lane->added);
    }
    return db_run_each(f->tx->db, f->tx->ctx, SQL_WEBHOOK_LANE_WAKE, NULL, 0, values,
                       WEBHOOK_LANE_WAKE_SET_COUNT, n, NULL);
}

/* The program that takes a message of a later version's event next may know it. */
static enum err leave_later(struct fanout *f)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < f->later_n; i++)
        e = db_run(f->tx->db, f->tx->ctx, SQL_WEBHOOK_OUTBOX_SET_ASIDE, &f->later[i], 1, NULL);
    if (e == OK && f->later_n > 0)
        log_warn("webhook.messages_left", "n=%zu message=\"a program of a later version has to send them\"",
                 f->later_n);
    return e;
}

/* The lanes last, in the order of their ids: other transactions wait for them. */
static enum err write_fanout(struct fanout *f)
{
    struct db *db = f->tx->db;
    void *ctx = f->tx->ctx;
    collect_lanes(f);
    enum err e = limit_deliveries(f);
    if (e == OK)
        e = db_run_each(db, ctx, SQL_WEBHOOK_OUTBOX_FAN, NULL, 0, f->messages, WEBHOOK_OUTBOX_FAN_SET_COUNT,
                        f->messages_n, NULL);
    if (e == OK)
        e = db_run_each(db, ctx, SQL_WEBHOOK_OUTBOX_DELETE, NULL, 0, f->unwanted, 1, f->unwanted_n, NULL);
    if (e == OK)
        e = leave_later(f);
    if (e == OK)
        e = insert_deliveries(f);
    if (e == OK)
        e = wake_lanes(f);
    failpoint("webhook.fan_out");
    return e;
}

/* --- the choice of messages --- */

static const char lowest_id[] = "00000000-0000-0000-0000-000000000000";

/* Messages that were chosen and locked, in the order in which they are fanned out. */
struct claimed {
    /* NULL: the messages were given. */
    struct webhook_turn *turn;
    const struct webhook_choice *choices;
    const struct db_rows *rows;
    /* Of each choice: its row; rows->count: another process has it. */
    size_t *row_of;
    size_t n;
};

static enum err read_turn(struct db *db, void *ctx, const id *after, struct webhook_turn *t)
{
    bool more = true;
    webhook_turn_begin(t, after);
    while (more) {
        size_t limit = webhook_turn_page(t);
        struct db_value args[] = {id_is_set(&t->after) ? db_id(&t->after) : db_text(lowest_id),
                                  db_number((int64_t)limit)};
        struct db_rows *rows;
        enum err e = db_run(db, ctx, SQL_WEBHOOK_OUTBOX_TURN, args, 2, &rows);
        if (e != OK)
            return e;
        struct webhook_waiting *waiting = talloc_array(ctx, struct webhook_waiting, rows->count + 1);
        for (size_t i = 0; i < rows->count; i++) {
            waiting[i].workspace = db_get_id(rows, i, WEBHOOK_OUTBOX_TURN_WORKSPACE_ID);
            waiting[i].message = db_get_id(rows, i, WEBHOOK_OUTBOX_TURN_ID);
        }
        more = webhook_turn_add(ctx, t, waiting, rows->count, limit);
    }
    return OK;
}

static enum err lock_messages(struct db_tx *tx, struct claimed *c)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, c->n + 1);
    struct db_rows *locked, *rows;
    for (size_t i = 0; i < c->n; i++)
        values[i] = db_id(&c->choices[i].message);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_OUTBOX_CLAIM, NULL, 0, values, 1, c->n, &locked);
    for (size_t i = 0; e == OK && i < locked->count; i++)
        values[i] = db_bytes(db_str(locked, i, WEBHOOK_OUTBOX_CLAIM_ID), ID_LENGTH);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_OUTBOX_NEXT, NULL, 0, values, 1, locked->count, &rows);
    c->rows = e == OK ? rows : NULL;
    return e;
}

struct position {
    const char *message;
    size_t row;
};

static int compare_positions(const void *a, const void *b)
{
    const struct position *x = a, *y = b;
    return strcmp(x->message, y->message);
}

static void find_rows(void *ctx, struct claimed *c)
{
    size_t n = c->rows->count;
    struct position *list = talloc_array(ctx, struct position, n + 1);
    c->row_of = talloc_array(ctx, size_t, c->n + 1);
    for (size_t r = 0; r < n; r++)
        list[r] = (struct position){db_str(c->rows, r, WEBHOOK_OUTBOX_NEXT_ID), r};
    qsort(list, n, sizeof *list, compare_positions);
    for (size_t i = 0; i < c->n; i++) {
        struct position key = {c->choices[i].message.text, 0};
        const struct position *found = bsearch(&key, list, n, sizeof *list, compare_positions);
        c->row_of[i] = found ? found->row : n;
    }
}

/* Otherwise the workspaces of one turn that fail would end each other's rest. */
_Static_assert(RESTS_MAX >= 2 * WEBHOOK_TURN_WORKSPACES, "all workspaces of a turn can rest");

/* A workspace that rests gives no message. */
static void leave_resting(struct webhook_turn *t, const struct rests *resting)
{
    const int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < t->n; i++) {
        if (rests_has(resting, &t->list[i].id, now_ms))
            t->list[i].n = 0;
    }
}

static enum err choose_messages(struct db *db, void *ctx, const struct webhook_fanout *w, struct claimed *c)
{
    struct webhook_choice *choices = talloc_array(ctx, struct webhook_choice, WEBHOOK_FANOUT_MAX);
    c->turn = talloc(ctx, struct webhook_turn);
    enum err e = read_turn(db, ctx, &w->after, c->turn);
    if (e != OK)
        return e;
    leave_resting(c->turn, &w->resting);
    c->n = webhook_turn_choose(c->turn, choices);
    c->choices = choices;
    return OK;
}

struct fanning {
    int64_t pending_max;
    const struct webhook_fanout *worker;
    /* The messages, all of one workspace; NULL: those of the next turn. */
    const struct webhook_choice *only;
    size_t only_n;
    /* The last workspace that had its turn. */
    id last;
    bool has_more;
};

static enum err claim_messages(struct db_tx *tx, const struct fanning *fanning, struct claimed *c)
{
    enum err e = OK;
    if (fanning->only)
        *c = (struct claimed){.choices = fanning->only, .n = fanning->only_n};
    else
        e = choose_messages(tx->db, tx->ctx, fanning->worker, c);
    if (e == OK)
        e = lock_messages(tx, c);
    if (e == OK)
        find_rows(tx->ctx, c);
    return e;
}

/* Fans out in the order of the choice, until there are enough deliveries: so each workspace gets its share of
 * those, too. Workspaces whose first message was not begun come first in the next turn. */
static void fan_out_claimed(struct fanout *f, const struct claimed *c, struct fanning *fanning)
{
    size_t i;
    const struct webhook_turn *t = c->turn;
    for (i = 0; i < c->n && f->deliveries_n < DELIVERIES_MAX; i++) {
        if (c->row_of[i] < c->rows->count)
            fan_out_message(f, c->row_of[i]);
    }
    if (!t)
        return;
    bool left_workspaces = i < c->n && c->choices[i].round == 0;
    fanning->last = t->list[left_workspaces ? c->choices[i - 1].workspace : t->n - 1].id;
    fanning->has_more = i < c->n || webhook_turn_may_have_more(t, c->n);
}

static enum err fan_out_work(struct db_tx *tx, void *arg)
{
    struct fanning *fanning = arg;
    struct fanout f = {.tx = tx, .pending_max = fanning->pending_max};
    struct claimed c = {0};
    fanning->has_more = false;
    fanning->last = fanning->worker->after;
    enum err e = claim_messages(tx, fanning, &c);
    if (e != OK || c.rows->count == 0)
        return e;
    e = webhook_now(tx->db, tx->ctx, &f.now_ms);
    if (e != OK)
        return e;
    f.rows = c.rows;
    f.messages = talloc_array(tx->ctx, struct db_value, c.rows->count * WEBHOOK_OUTBOX_FAN_SET_COUNT + 1);
    f.unwanted = talloc_array(tx->ctx, struct db_value, c.rows->count + 1);
    f.later = talloc_array(tx->ctx, struct db_value, c.rows->count + 1);
    e = read_endpoints(&f);
    if (e != OK)
        return e;
    fan_out_claimed(&f, &c, fanning);
    return write_fanout(&f);
}

/* --- each by itself --- */

/* Of one workspace and call: the rest of it waits until the workspace has rested. */
enum { ASIDE_AT_ONCE_MAX = 20 };

/* A turn whose workspaces are fanned out one by one. */
struct apart {
    struct db *db;
    int64_t pending_max;
    struct webhook_fanout *worker;
    /* The messages of the workspace. */
    struct webhook_choice choices[WEBHOOK_FANOUT_MAX];
    size_t n;
};

static enum err fan_out_only(struct apart *a, const struct webhook_choice *choices, size_t n)
{
    struct fanning fanning = {
        .pending_max = a->pending_max, .worker = a->worker, .only = choices, .only_n = n};
    return db_transaction(a->db, fan_out_work, &fanning);
}

static enum err set_aside(struct apart *a, const id *workspace, const id *message, enum err why)
{
    struct db_value arg = db_id(message);
    enum err e = db_run(a->db, NULL, SQL_WEBHOOK_OUTBOX_SET_ASIDE, &arg, 1, NULL);
    if (e == OK)
        log_error("webhook.message_set_aside", "message=%s workspace=%s error=%s", message->text,
                  workspace->text, err_name(why));
    return e;
}

static enum err fan_out_one_by_one(struct apart *a, const id *workspace)
{
    size_t aside_n = 0;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < a->n; i++) {
        e = fan_out_only(a, &a->choices[i], 1);
        if (e == OK || err_is_transient(e))
            continue;
        if (aside_n++ == ASIDE_AT_ONCE_MAX)
            return e;
        e = set_aside(a, workspace, &a->choices[i].message, e);
    }
    return e;
}

static void fan_out_workspace(struct apart *a, const id *workspace)
{
    enum err e = fan_out_only(a, a->choices, a->n);
    if (e != OK && !err_is_transient(e))
        e = fan_out_one_by_one(a, workspace);
    if (e == OK) {
        rests_end(&a->worker->resting, workspace);
        return;
    }
    int64_t pause_ms = rests_add(&a->worker->resting, workspace, clock_boot_ms());
    log_warn("webhook.workspace_deferred", "workspace=%s error=%s pause_ms=%lld", workspace->text,
             err_name(e), (long long)pause_ms);
}

static enum err fan_out_apart(struct apart *a, void *ctx)
{
    struct claimed c = {0};
    enum err e = choose_messages(a->db, ctx, a->worker, &c);
    for (size_t w = 0; e == OK && w < c.turn->n; w++) {
        a->n = 0;
        for (size_t i = 0; i < c.n; i++) {
            if (c.choices[i].workspace == w)
                a->choices[a->n++] = c.choices[i];
        }
        if (a->n > 0)
            fan_out_workspace(a, &c.turn->list[w].id);
    }
    if (e == OK && c.turn->n > 0) {
        a->worker->after = c.turn->list[c.turn->n - 1].id;
        a->worker->has_more = webhook_turn_may_have_more(c.turn, c.n);
    }
    return e;
}

enum err webhook_fan_out(struct db *db, int64_t pending_max, bool apart, struct webhook_fanout *w)
{
    struct fanning fanning = {.pending_max = pending_max, .worker = w};
    enum err e = apart ? ERR_INTERNAL : db_transaction(db, fan_out_work, &fanning);
    w->has_more = e == OK && fanning.has_more;
    if (e == OK)
        w->after = fanning.last;
    if (e == OK || err_is_transient(e))
        return e;
    struct apart *a = talloc_zero(NULL, struct apart);
    a->db = db;
    a->pending_max = pending_max;
    a->worker = w;
    e = fan_out_apart(a, a);
    talloc_free(a);
    return e;
}

enum err webhook_retry_set_aside(struct db *db, struct webhook_fanout *w, bool *more_r)
{
    void *ctx = talloc_new(NULL);
    bool begins = !id_is_set(&w->aside_message);
    struct db_value after[] = {begins ? db_text(lowest_id) : db_id(&w->aside_workspace),
                               begins ? db_text(lowest_id) : db_id(&w->aside_workspace),
                               begins ? db_text(lowest_id) : db_id(&w->aside_message),
                               db_number(WEBHOOK_ASIDE_MAX)};
    struct db_value ids[WEBHOOK_ASIDE_MAX];
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WEBHOOK_OUTBOX_ASIDE, after, 4, &rows);
    *more_r = e == OK && rows->count == WEBHOOK_ASIDE_MAX;
    for (size_t i = 0; e == OK && i < rows->count; i++)
        ids[i] = db_bytes(db_str(rows, i, WEBHOOK_OUTBOX_ASIDE_ID), ID_LENGTH);
    if (e == OK)
        e = db_run_each(db, ctx, SQL_WEBHOOK_OUTBOX_RETRY, NULL, 0, ids, 1, rows->count, NULL);
    if (e == OK && *more_r) {
        w->aside_workspace = db_get_id(rows, rows->count - 1, WEBHOOK_OUTBOX_ASIDE_WORKSPACE_ID);
        w->aside_message = db_get_id(rows, rows->count - 1, WEBHOOK_OUTBOX_ASIDE_ID);
    } else if (e == OK) {
        w->aside_message = (id){{0}};
    }
    talloc_free(ctx);
    return e;
}
