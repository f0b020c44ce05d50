#include "webhook/lane.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "webhook/endpoint.h"

/* An endpoint is switched off after five days without a success. */
static const int64_t failing_max_ms = (int64_t)5 * 24 * 3600 * 1000;
enum {
    STATUS_GONE = 410,
    SLICE = 500,
    LANE_IDLE_MS = 3600000,
    /* How long a lane waits that could not be claimed. */
    LANE_DEFER_MS = 30000,
    /* Rows of webhook_lane_due. */
    CANDIDATES = 512,
    /* Workspaces that one choice passes over. */
    FULL_MAX = 32,
    /* webhook_lane_count counts no further. */
    COUNT_MAX = 20000,
    /* One of so many gives back counts what is pending. */
    GIVES_PER_COUNT = 32,
};

static const char lowest_id[] = "00000000-0000-0000-0000-000000000000";

/* --- claiming --- */

struct claiming {
    const struct webhook_claim *claim;
    void *ctx;
    struct webhook_lane **lanes;
    size_t n;
    /* Of claim->places, those that are not used yet. */
    size_t places;
    int64_t now_ms;
    /* The only lane that is claimed; NULL: those that are due. */
    const id *only;
};

static const char *copy_bytes(void *ctx, const struct db_cell *cell)
{
    char *copy = talloc_array(ctx, char, cell->size + 1);
    memcpy(copy, cell->text, cell->size);
    copy[cell->size] = '\0';
    return copy;
}

static void read_trace(struct webhook_lane *lane, struct webhook_send *s, const struct db_rows *rows,
                       size_t i)
{
    const struct db_cell *stored = db_cell(rows, i, WEBHOOK_DELIVERY_DUE_TRACE_CONTEXT);
    const char *state = db_str(rows, i, WEBHOOK_DELIVERY_DUE_TRACE_STATE);
    id root = db_get_id(rows, i, WEBHOOK_DELIVERY_DUE_ROOT_ID);
    struct trace_context t = trace_from_bytes(stored->text, stored->size);
    if (!trace_is_set(&t))
        t = trace_of_root(&root);
    s->trace = t;
    s->execution_id = db_get_id(rows, i, WEBHOOK_DELIVERY_DUE_EXECUTION_ID);
    s->trace_state = state ? talloc_strdup(lane, state) : NULL;
}

static enum err read_sends(struct db_tx *tx, struct claiming *c, struct webhook_lane *lane)
{
    size_t room = webhook_share_room(c->claim->shares, &lane->workspace_id, c->places);
    size_t most = (size_t)lane->sends_max < room ? (size_t)lane->sends_max : room;
    struct db_value args[] = {db_id(&lane->lane_id), db_number(c->now_ms), db_number((int64_t)most)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_DELIVERY_DUE, args, 3, &rows);
    if (e != OK)
        return e;
    lane->sends = talloc_zero_array(lane, struct webhook_send, rows->count + 1);
    lane->urls = talloc_zero_array(lane, const char *, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        const struct db_cell *body = db_cell(rows, i, WEBHOOK_DELIVERY_DUE_BODY);
        const char *url = db_str(rows, i, WEBHOOK_DELIVERY_DUE_URL);
        lane->urls[i] = url ? talloc_strdup(lane, url) : NULL;
        lane->sends[i] = (struct webhook_send){
            .delivery_id = db_get_id(rows, i, WEBHOOK_DELIVERY_DUE_ID),
            .outbox_id = db_get_id(rows, i, WEBHOOK_DELIVERY_DUE_OUTBOX_ID),
            .tries = (int)db_int(rows, i, WEBHOOK_DELIVERY_DUE_TRIES),
            .created_ms = db_int(rows, i, WEBHOOK_DELIVERY_DUE_CREATED_MS),
            .body = body->is_null ? "" : copy_bytes(lane, body),
            .body_size = body->is_null ? 0 : body->size,
        };
        read_trace(lane, &lane->sends[i], rows, i);
    }
    lane->sends_n = rows->count;
    return OK;
}

/* A lane that is given back. */
struct lane_end {
    int failures, sends_max;
    int64_t not_before_ms;
    /* What is pending is due then at the latest. */
    int64_t due_ms;
    /* Deliveries that were pending when the lane was locked, and those that have ended since. */
    int64_t pending, ended;
};

/* Purges change no lane, so the number is counted anew now and then: not each time, because there may be as
 * many as webhooks.pending_max. */
static enum err count_pending(struct db_tx *tx, const struct webhook_lane *lane, const struct lane_end *end,
                              int64_t *pending_r)
{
    struct db_value lane_id = db_id(&lane->lane_id);
    struct db_rows *rows;
    *pending_r = end->pending > end->ended ? end->pending - end->ended : 0;
    if (end->failures == 0 && randombytes_uniform(GIVES_PER_COUNT) > 0)
        return OK;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_LANE_COUNT, &lane_id, 1, &rows);
    int64_t counted = e == OK ? db_int(rows, 0, WEBHOOK_LANE_COUNT_PENDING) : 0;
    if (e == OK && (counted < COUNT_MAX || *pending_r < COUNT_MAX))
        *pending_r = counted;
    return e;
}

static enum err give_back(struct db_tx *tx, const struct webhook_lane *lane, const struct lane_end *end)
{
    int64_t pending;
    enum err e = count_pending(tx, lane, end, &pending);
    struct db_value args[] = {db_number(end->failures),  db_number(end->failures > 0),
                              db_number(end->sends_max), db_number(end->not_before_ms),
                              db_number(end->due_ms),    db_id(&lane->lane_id),
                              db_number(pending),        db_id(&lane->lane_id)};
    return e == OK ? db_run(tx->db, tx->ctx, SQL_WEBHOOK_LANE_FINISH, args, 8, NULL) : e;
}

/* The lane can be claimed again at once. `ended`: deliveries that were ended. */
static enum err keep_lane(struct db_tx *tx, const struct webhook_lane *lane, int64_t due_ms, uint64_t ended)
{
    struct lane_end end = {.failures = lane->failures,
                           .sends_max = lane->sends_max,
                           .due_ms = due_ms,
                           .pending = lane->pending,
                           .ended = (int64_t)ended};
    return give_back(tx, lane, &end);
}

/* Its endpoint or workspace was deleted: so are its deliveries, in slices. */
static enum err remove_lane(struct db_tx *tx, const struct webhook_lane *lane)
{
    struct db_value id_value = db_id(&lane->lane_id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_DELIVERY_REMOVE, &id_value, 1, &rows);
    if (e != OK)
        return e;
    return rows->affected < SLICE ? db_run(tx->db, tx->ctx, SQL_WEBHOOK_LANE_DELETE, &id_value, 1, NULL)
                                  : keep_lane(tx, lane, 0, 0);
}

/* What waits for an endpoint that is switched off fails at once, in slices; it can be sent again by request.
 */
static enum err give_up(struct db_tx *tx, const struct webhook_lane *lane)
{
    struct db_value args[] = {db_text("The endpoint is disabled."), db_id(&lane->lane_id)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_DELIVERY_GIVE_UP, args, 2, &rows);
    return e == OK ? keep_lane(tx, lane, 0, rows->affected) : e;
}

static int wipe_secret(char *secret)
{
    sodium_memzero(secret, strlen(secret));
    return 0;
}

static const char *keep_secret(struct webhook_lane *lane, const char *secret)
{
    char *copy = secret ? talloc_strdup(lane, secret) : NULL;
    if (copy)
        talloc_set_destructor(copy, wipe_secret);
    return copy;
}

static enum err read_endpoint(struct db_tx *tx, struct claiming *c, struct webhook_lane *lane,
                              struct webhook *w)
{
    enum err e = read_sends(tx, c, lane);
    if (e == OK)
        e = webhook_open(tx->ctx, c->claim->key, w);
    if (e != OK)
        return e == ERR_DENIED ? OK : e; /* logged; the lane is looked at again after its lease */
    lane->was_failing = w->failing_since_ms > 0;
    lane->secret = keep_secret(lane, w->secret);
    lane->old_secret = keep_secret(lane, w->old_secret);
    for (size_t i = 0; i < lane->sends_n; i++)
        lane->urls[i] = talloc_strdup(lane, w->url);
    return OK;
}

static enum err read_own(struct db_tx *tx, struct claiming *c, struct webhook_lane *lane)
{
    struct webhook_secrets s = {0};
    enum err e = webhook_lane_secret(tx, c->claim->key, &lane->workspace_id, &s);
    if (e == ERR_NOT_FOUND)
        return remove_lane(tx, lane);
    if (e == OK)
        e = read_sends(tx, c, lane);
    lane->secret = e == OK ? keep_secret(lane, s.secret) : NULL;
    lane->old_secret = e == OK ? keep_secret(lane, s.old_secret) : NULL;
    return e == ERR_DENIED ? OK : e;
}

static enum err fill_lane(struct db_tx *tx, struct claiming *c, struct webhook_lane *lane)
{
    struct db_value one = db_id(&lane->webhook_id);
    struct db_rows *rows;
    if (!id_is_set(&lane->webhook_id))
        return read_own(tx, c, lane);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_BY_IDS, NULL, 0, &one, 1, 1, &rows);
    if (e != OK)
        return e;
    if (rows->count == 0)
        return remove_lane(tx, lane);
    struct webhook w = webhook_from_row(rows, 0);
    return w.enabled ? read_endpoint(tx, c, lane, &w) : give_up(tx, lane);
}

static int64_t claim_ms(int64_t timeout_ms)
{
    return timeout_ms + WEBHOOK_LEASE_MS;
}

static enum err mark_claimed(struct db_tx *tx, struct claiming *c, const struct db_rows *rows)
{
    struct db_value head[] = {db_number(c->now_ms + claim_ms(c->claim->timeout_ms)),
                              db_number((int64_t)c->claim->executor)};
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        ids[i] = db_bytes(db_str(rows, i, WEBHOOK_LANE_LOCK_DUE_ID), ID_LENGTH);
    return db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_LANE_CLAIM, head, 2, ids, 1, rows->count, NULL);
}

/* The lanes that get a place each, and workspaces that can have no more. */
struct choice {
    id lanes[WEBHOOK_CLAIM_MAX], workspaces[WEBHOOK_CLAIM_MAX];
    size_t n;
    id full[FULL_MAX];
    size_t full_n;
};

static bool has_place(const struct claiming *c, const struct choice *choice, const id *workspace)
{
    size_t used = webhook_share_used(c->claim->shares, workspace);
    for (size_t i = 0; i < choice->n; i++)
        used += id_equal(&choice->workspaces[i], workspace);
    return used < c->places - choice->n;
}

static bool is_complete(const struct claiming *c, const struct choice *choice)
{
    return choice->n == WEBHOOK_CLAIM_MAX || choice->n == c->places || choice->full_n == FULL_MAX;
}

static void choose_lanes(const struct claiming *c, const struct db_rows *rows, struct choice *choice)
{
    for (size_t i = 0; i < rows->count && !is_complete(c, choice); i++) {
        id lane = db_get_id(rows, i, WEBHOOK_LANE_DUE_ID);
        id workspace = db_get_id(rows, i, WEBHOOK_LANE_DUE_WORKSPACE_ID);
        if (id_is_in(choice->full, choice->full_n, &workspace) || id_is_in(choice->lanes, choice->n, &lane))
            continue;
        if (!has_place(c, choice, &workspace)) {
            choice->full[choice->full_n++] = workspace;
            continue;
        }
        choice->workspaces[choice->n] = workspace;
        choice->lanes[choice->n++] = lane;
    }
}

/* Of a workspace that can have no more places, thousands of lanes may be due: they are passed over then. */
static enum err find_lanes(struct db *db, void *ctx, const struct claiming *c, struct choice *choice)
{
    struct db_value head[] = {db_number(c->claim->failing), db_number(c->now_ms)};
    struct db_value passed[FULL_MAX + 1] = {db_text(lowest_id)};
    size_t passed_n;
    struct db_rows *rows;
    do {
        passed_n = choice->full_n;
        for (size_t i = 0; i < passed_n; i++)
            passed[i + 1] = db_id(&choice->full[i]);
        enum err e = db_run_each(db, ctx, SQL_WEBHOOK_LANE_DUE, head, 2, passed, 1, passed_n + 1, &rows);
        if (e != OK)
            return e;
        choose_lanes(c, rows, choice);
    } while (rows->count == CANDIDATES && choice->full_n > passed_n && !is_complete(c, choice));
    return OK;
}

static enum err lock_lanes(struct db_tx *tx, struct claiming *c, struct db_rows **rows_r)
{
    struct db_value head[] = {db_number(c->claim->failing), db_number(c->now_ms)};
    struct db_value ids[WEBHOOK_CLAIM_MAX];
    struct choice *choice = talloc_zero(tx->ctx, struct choice);
    enum err e = OK;
    if (c->only)
        choice->lanes[choice->n++] = *c->only;
    else
        e = find_lanes(tx->db, tx->ctx, c, choice);
    for (size_t i = 0; e == OK && i < choice->n; i++)
        ids[i] = db_id(&choice->lanes[i]);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_LANE_LOCK_DUE, head, 2, ids, 1, choice->n, rows_r);
    return e == OK ? mark_claimed(tx, c, *rows_r) : e;
}

/* What was added in an attempt that is repeated is taken back. */
static void forget_lanes(struct claiming *c)
{
    for (size_t i = 0; i < c->n; i++) {
        webhook_share_remove(c->claim->shares, &c->lanes[i]->workspace_id, c->lanes[i]->sends_n);
        talloc_free(c->lanes[i]);
    }
    c->n = 0;
    c->places = c->claim->places;
}

static enum err claim_lane(struct db_tx *tx, struct claiming *c, const struct db_rows *rows, size_t r)
{
    struct webhook_lane *lane = talloc_zero(c->ctx, struct webhook_lane);
    lane->lane_id = db_get_id(rows, r, WEBHOOK_LANE_LOCK_DUE_ID);
    lane->webhook_id = db_get_id(rows, r, WEBHOOK_LANE_LOCK_DUE_WEBHOOK_ID);
    lane->workspace_id = db_get_id(rows, r, WEBHOOK_LANE_LOCK_DUE_WORKSPACE_ID);
    lane->failures = (int)db_int(rows, r, WEBHOOK_LANE_LOCK_DUE_FAILURES);
    lane->sends_max = (int)db_int(rows, r, WEBHOOK_LANE_LOCK_DUE_SENDS);
    lane->pending = db_int(rows, r, WEBHOOK_LANE_LOCK_DUE_PENDING);
    lane->executor = c->claim->executor;
    enum err e = fill_lane(tx, c, lane);
    if (e == OK && lane->secret && lane->sends_n == 0) /* nothing was due, or there was no place */
        e = keep_lane(tx, lane, INT64_MAX, 0);
    if (e != OK || !lane->secret)
        lane->sends_n = 0;
    c->lanes[c->n++] = lane;
    c->places -= lane->sends_n;
    webhook_share_add(c->claim->shares, &lane->workspace_id, lane->sends_n);
    return e;
}

static enum err claim_lanes_work(struct db_tx *tx, void *arg)
{
    struct claiming *c = arg;
    struct db_rows *rows;
    forget_lanes(c);
    enum err e = webhook_now(tx->db, tx->ctx, &c->now_ms);
    if (e == OK)
        e = lock_lanes(tx, c, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        e = claim_lane(tx, c, rows, i);
    failpoint("webhook.claim");
    return e;
}

/* The lane waits before it is looked at again; a lane that is locked, too, is not waited for a second time.
 */
static void defer_lane(struct db *db, const struct claiming *c, const id *lane, const id *workspace,
                       enum err why)
{
    struct db_value args[] = {db_number(c->now_ms + LANE_DEFER_MS), db_id(lane)};
    log_error("webhook.lane_deferred", "lane=%s workspace=%s error=%s pause_ms=%d", lane->text,
              workspace->text, err_name(why), (int)LANE_DEFER_MS);
    if (db_run(db, NULL, SQL_WEBHOOK_LANE_DEFER, args, 2, NULL) != OK)
        log_warn("webhook.defer_failed", "lane=%s", lane->text);
}

/* Adds the only lane of `one`. */
static void take_lanes(struct claiming *c, struct claiming *one)
{
    for (size_t i = 0; i < one->n; i++) {
        c->places -= one->lanes[i]->sends_n;
        c->lanes[c->n++] = one->lanes[i];
    }
    one->n = 0;
}

bool webhook_lane_is_at_fault(enum err failed, enum err then)
{
    return failed == ERR_UNAVAILABLE ? then == OK : failed != ERR_RETRY;
}

/* A lane could not be claimed. Returns the error of what concerns all lanes. */
static enum err handle_failed_lane(struct db *db, void *scratch, const struct claiming *c, const id *lane,
                                   const id *workspace, enum err failed)
{
    int64_t now_ms;
    enum err then = failed == ERR_UNAVAILABLE ? webhook_now(db, scratch, &now_ms) : OK;
    if (webhook_lane_is_at_fault(failed, then))
        defer_lane(db, c, lane, workspace, failed);
    return then;
}

/* One transaction for each lane that is due. */
static enum err claim_apart(struct db *db, struct claiming *c)
{
    void *scratch = talloc_new(NULL);
    struct choice *choice = talloc_zero(scratch, struct choice);
    forget_lanes(c);
    enum err e = webhook_now(db, scratch, &c->now_ms);
    if (e == OK)
        e = find_lanes(db, scratch, c, choice);
    for (size_t i = 0; e == OK && i < choice->n && c->places > 0; i++) {
        struct webhook_claim claim = *c->claim;
        struct claiming one = {.claim = &claim, .ctx = c->ctx, .only = &choice->lanes[i]};
        claim.places = c->places;
        one.lanes = talloc_zero_array(scratch, struct webhook_lane *, 1);
        enum err failed = db_transaction(db, claim_lanes_work, &one);
        if (failed != OK) {
            forget_lanes(&one);
            e = handle_failed_lane(db, scratch, c, &choice->lanes[i], &choice->workspaces[i], failed);
        }
        take_lanes(c, &one);
    }
    talloc_free(scratch);
    return e;
}

enum err webhook_lanes_claim(struct db *db, void *ctx, const struct webhook_claim *claim,
                             struct webhook_lane ***lanes_r, size_t *n_r)
{
    struct claiming c = {.claim = claim, .ctx = ctx, .places = claim->places};
    c.lanes = talloc_zero_array(ctx, struct webhook_lane *, WEBHOOK_CLAIM_MAX);
    enum err e = claim->apart ? ERR_INTERNAL : db_transaction(db, claim_lanes_work, &c);
    if (e != OK)
        forget_lanes(&c);
    if (e != OK && !err_is_transient(e))
        e = claim_apart(db, &c);
    *lanes_r = c.lanes;
    *n_r = c.n;
    return e;
}

/* --- results --- */

struct finishing {
    const struct webhook_lane *lane;
    const struct webhook_retries *retries;
    int64_t now_ms;
    bool any_delivered, all_delivered, gone, disabled;
    int64_t retry_after_ms;
    /* Deliveries that are not pending any more. */
    int64_t ended;
};

static int64_t honoured_ms(int64_t retry_after_ms)
{
    return retry_after_ms < WEBHOOK_RETRY_AFTER_MAX_MS ? retry_after_ms : WEBHOOK_RETRY_AFTER_MAX_MS;
}

static const struct webhook_send *find_send(const struct webhook_lane *lane, const id *delivery)
{
    for (size_t i = 0; i < lane->sends_n; i++) {
        if (id_equal(&lane->sends[i].delivery_id, delivery))
            return &lane->sends[i];
    }
    return NULL;
}

/* The row of a delivery after its try. Returns its state. */
static enum webhook_state result_values(const struct finishing *f, const struct webhook_send *s,
                                        struct db_value *v)
{
    int64_t pause_ms = s->status == STATUS_GONE
                           ? -1
                           : retry_schedule_ms(&f->retries->schedule, s->tries + 1, randombytes_random(),
                                               honoured_ms(s->retry_after_ms));
    enum webhook_state state = s->delivered    ? WEBHOOK_DELIVERED
                               : pause_ms >= 0 ? WEBHOOK_PENDING
                                               : WEBHOOK_FAILED_FINALLY;
    v[WEBHOOK_DELIVERY_RESULT_SET_ID] = db_id(&s->delivery_id);
    v[WEBHOOK_DELIVERY_RESULT_SET_WORKSPACE_ID] = db_id(&f->lane->workspace_id);
    v[WEBHOOK_DELIVERY_RESULT_SET_OUTBOX_ID] = db_id(&s->outbox_id);
    v[WEBHOOK_DELIVERY_RESULT_SET_LANE_ID] = db_id(&f->lane->lane_id);
    v[WEBHOOK_DELIVERY_RESULT_SET_CREATED_MS] = db_number(s->created_ms);
    v[WEBHOOK_DELIVERY_RESULT_SET_STATE] = db_number(state);
    v[WEBHOOK_DELIVERY_RESULT_SET_TRIES] = db_number(s->tries + 1);
    v[WEBHOOK_DELIVERY_RESULT_SET_DUE_MS] = db_number(f->now_ms + (pause_ms > 0 ? pause_ms : 0));
    v[WEBHOOK_DELIVERY_RESULT_SET_STATUS] = db_number_or_null(s->status, s->status > 0);
    v[WEBHOOK_DELIVERY_RESULT_SET_ERROR] = db_text(s->error);
    v[WEBHOOK_DELIVERY_RESULT_SET_ANSWER] =
        s->answer_size > 0 ? db_bytes(s->answer, s->answer_size) : db_null();
    v[WEBHOOK_DELIVERY_RESULT_SET_TRIED_MS] = db_number(f->now_ms);
    return state;
}

/* A delivery that was sent again by request, dropped or deleted meanwhile keeps its row. */
static enum err write_results(struct db_tx *tx, struct finishing *f)
{
    const struct webhook_lane *lane = f->lane;
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, lane->sends_n + 1);
    struct db_value *values =
        talloc_array(tx->ctx, struct db_value, lane->sends_n * WEBHOOK_DELIVERY_RESULT_SET_COUNT + 1);
    struct db_rows *rows;
    size_t n = 0;
    for (size_t i = 0; i < lane->sends_n; i++)
        ids[i] = db_id(&lane->sends[i].delivery_id);
    enum err e =
        db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_DELIVERY_LOCK, NULL, 0, ids, 1, lane->sends_n, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        id delivery = db_get_id(rows, i, WEBHOOK_DELIVERY_LOCK_ID);
        const struct webhook_send *s = find_send(lane, &delivery);
        if (s && s->tries == (int)db_int(rows, i, WEBHOOK_DELIVERY_LOCK_TRIES))
            f->ended +=
                result_values(f, s, &values[n++ * WEBHOOK_DELIVERY_RESULT_SET_COUNT]) != WEBHOOK_PENDING;
    }
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_DELIVERY_RESULT, NULL, 0, values,
                                 WEBHOOK_DELIVERY_RESULT_SET_COUNT, n, NULL)
                   : e;
}

/* Switches the endpoint off, and tells the other endpoints of the workspace. */
static enum err disable(struct db_tx *tx, struct finishing *f, struct webhook *w)
{
    const char *data = talloc_asprintf(tx->ctx, "{\"webhook_id\":\"%s\"}", w->id.text);
    w->enabled = false;
    w->disabled_reason = f->gone ? WEBHOOK_GONE : WEBHOOK_FAILING;
    w->disabled_ms = f->now_ms;
    f->disabled = true;
    return webhook_put_workspace_event(tx, &w->workspace_id, WEBHOOK_DISABLED, data);
}

/* Notes since when an endpoint fails; it is read without a lock where there is nothing to note. */
static enum err note_endpoint(struct db_tx *tx, struct finishing *f)
{
    struct db_value args[] = {db_id(&f->lane->workspace_id), db_id(&f->lane->webhook_id)};
    struct db_rows *rows;
    bool is_noted = f->any_delivered && f->lane->failures == 0 && !f->lane->was_failing && !f->gone;
    if (!id_is_set(&f->lane->webhook_id) || is_noted)
        return OK;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_LOCK, args, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    struct webhook w = webhook_from_row(rows, 0);
    if (f->any_delivered)
        w.failing_since_ms = 0;
    else if (w.failing_since_ms == 0)
        w.failing_since_ms = f->now_ms;
    bool failed_long = w.failing_since_ms > 0 && f->now_ms - w.failing_since_ms >= failing_max_ms;
    if (w.enabled && (f->gone || failed_long))
        e = disable(tx, f, &w);
    return e == OK ? webhook_write(tx, &w) : e;
}

static void sum_up(struct finishing *f)
{
    f->any_delivered = f->gone = f->disabled = false;
    f->all_delivered = true;
    f->retry_after_ms = f->ended = 0;
    for (size_t i = 0; i < f->lane->sends_n; i++) {
        const struct webhook_send *s = &f->lane->sends[i];
        f->any_delivered = f->any_delivered || s->delivered;
        f->all_delivered = f->all_delivered && s->delivered;
        f->gone = f->gone || s->status == STATUS_GONE;
        if (!s->delivered && honoured_ms(s->retry_after_ms) > f->retry_after_ms)
            f->retry_after_ms = honoured_ms(s->retry_after_ms);
    }
}

static int64_t lane_pause_ms(const struct finishing *f, int failures)
{
    int64_t pause_ms = failures == 0 ? 0 : INT64_C(1000) << (failures < 13 ? failures - 1 : 12);
    if (pause_ms > f->retries->pause_max_ms)
        pause_ms = f->retries->pause_max_ms;
    return f->retry_after_ms > pause_ms ? f->retry_after_ms : pause_ms;
}

/* A lane that another process has claimed meanwhile stays with it. */
static enum err end_lane(struct db_tx *tx, const struct finishing *f)
{
    const struct webhook_lane *lane = f->lane;
    struct db_value lane_id = db_id(&lane->lane_id);
    struct db_rows *rows;
    int failures = f->any_delivered ? 0 : lane->failures + 1;
    int doubled = lane->sends_max < WEBHOOK_LANE_SENDS ? 2 * lane->sends_max : WEBHOOK_LANE_SENDS;
    struct lane_end end = {.failures = failures,
                           .sends_max = f->all_delivered   ? doubled
                                        : f->any_delivered ? lane->sends_max
                                                           : 1,
                           .not_before_ms = f->now_ms + lane_pause_ms(f, failures),
                           .due_ms = f->disabled ? 0 : INT64_MAX,
                           .ended = f->ended};
    if (f->disabled)
        end.not_before_ms = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_LANE_LOCK, &lane_id, 1, &rows);
    if (e != OK || rows->count == 0 ||
        (uint64_t)db_int(rows, 0, WEBHOOK_LANE_LOCK_EXECUTOR_ID) != lane->executor)
        return e;
    end.pending = db_int(rows, 0, WEBHOOK_LANE_LOCK_PENDING);
    return give_back(tx, lane, &end);
}

struct finishing_all {
    struct finishing *list;
    size_t n;
};

/* Locks: endpoints, deliveries, lanes; each of them by ascending lane ids, which of endpoints are theirs. */
static enum err finish_work(struct db_tx *tx, void *arg)
{
    struct finishing_all *all = arg;
    int64_t now_ms;
    enum err e = webhook_now(tx->db, tx->ctx, &now_ms);
    for (size_t i = 0; e == OK && i < all->n; i++) {
        sum_up(&all->list[i]);
        all->list[i].now_ms = now_ms;
        e = note_endpoint(tx, &all->list[i]);
    }
    for (size_t i = 0; e == OK && i < all->n; i++)
        e = write_results(tx, &all->list[i]);
    for (size_t i = 0; e == OK && i < all->n; i++)
        e = end_lane(tx, &all->list[i]);
    failpoint("webhook.finish");
    return e;
}

enum err webhook_lanes_finish(struct db *db, const struct webhook_retries *retries, struct webhook_finish *f,
                              size_t n)
{
    struct finishing_all all = {.list = talloc_zero_array(NULL, struct finishing, n + 1), .n = n};
    for (size_t i = 0; i < n; i++)
        all.list[i] = (struct finishing){.lane = f[i].lane, .retries = retries};
    enum err e = db_transaction(db, finish_work, &all);
    for (size_t i = 0; i < n; i++)
        f[i].disabled = e == OK && all.list[i].disabled;
    talloc_free(all.list);
    return e;
}

static enum err expire_rows(struct db *db, enum sql_id query, bool by_id, int64_t age_ms, uint64_t *n_r)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    int64_t now_ms;
    *n_r = 0;
    enum err e = webhook_now(db, scratch, &now_ms);
    id oldest = id_floor(e == OK ? now_ms - age_ms : 0);
    struct db_value arg = by_id ? db_id(&oldest) : db_number(e == OK ? now_ms - age_ms : 0);
    if (e == OK)
        e = db_run(db, scratch, query, &arg, 1, &rows);
    if (e == OK)
        *n_r = rows->affected;
    talloc_free(scratch);
    return e;
}

enum err webhook_expire_deliveries(struct db *db, int64_t age_ms, uint64_t *n_r)
{
    return expire_rows(db, SQL_WEBHOOK_EXPIRE_DELIVERIES, true, age_ms, n_r);
}

enum err webhook_expire_messages(struct db *db, int64_t age_ms, uint64_t *n_r)
{
    return expire_rows(db, SQL_WEBHOOK_EXPIRE_MESSAGES, true, age_ms, n_r);
}

enum err webhook_expire_lanes(struct db *db, uint64_t *n_r)
{
    return expire_rows(db, SQL_WEBHOOK_EXPIRE_LANES, false, LANE_IDLE_MS, n_r);
}

enum err webhook_release_lost(struct db *db, int64_t timeout_ms, uint64_t *n_r)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    int64_t now_ms;
    *n_r = 0;
    enum err e = webhook_now(db, scratch, &now_ms);
    struct db_value range[] = {db_number(now_ms), db_number(now_ms + claim_ms(timeout_ms))};
    if (e == OK)
        e = db_run(db, scratch, SQL_WEBHOOK_LANE_ORPHANS, range, 2, &rows);
    for (size_t i = 0, n = e == OK ? rows->count : 0; i < n; i++) {
        id lane = db_get_id(rows, i, WEBHOOK_LANE_ORPHANS_ID);
        struct db_value args[] = {db_id(&lane), db_number(db_int(rows, i, WEBHOOK_LANE_ORPHANS_EXECUTOR_ID))};
        struct db_rows *released;
        enum err failed = db_run(db, scratch, SQL_WEBHOOK_LANE_RELEASE, args, 2, &released);
        *n_r += failed == OK ? released->affected : 0;
        e = e == OK ? failed : e;
        if (failed == ERR_UNAVAILABLE)
            break;
    }
    talloc_free(scratch);
    return e;
}
