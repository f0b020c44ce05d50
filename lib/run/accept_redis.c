/* Redis around the transaction of a batch: balances are checked before it, results are published after it.
 * Redis never decides. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "redis/keys.h"
#include "redis/run_queue.h"
#include "run/accept.h"
#include "run/accept_private.h"
#include "run/event_json.h"
#include "run/idempotency_cache.h"
#include "run/price.h"

/* --- before: insufficient credits --- */

static struct balance_cache own_balance_cache, *balance_cache = &own_balance_cache;

void accept_share_balance_cache(struct balance_cache *shared)
{
    balance_cache = shared;
}

static void cache_balances(const struct account *accounts, size_t n)
{
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < n; i++)
        balance_cache_put(balance_cache, &accounts[i].workspace_id, accounts[i].balance, now_ms);
}

/* True if the request may already have been accepted, which is reported whatever the balance is now: by its
 * key, its tool call, its place in a batch, or as the child that an earlier try (whose response was lost)
 * accepted and paid for. An occurrence is decided by the transaction in any case, because its refusal is a
 * row. */
static bool may_be_replay(const struct run_request *req)
{
    return req->idempotency_key.at || req->tool_call_id.at || !run_request_is_root(req) ||
           id_is_set(&req->batch_id) || id_is_set(&req->occurrence.schedule_id);
}

/* Marks the entries whose workspace has insufficient credits according to Redis. */
static void mark_candidates(struct redis *redis, struct accept_batch *b, bool candidates[])
{
    void *scratch = talloc_new(b->ctx);
    struct redis_arg keys[ACCEPT_BATCH_MAX];
    size_t asked[ACCEPT_BATCH_MAX];
    size_t n = 0;
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        candidates[i] = false;
        if (may_be_replay(req) ||
            balance_cache_covers(balance_cache, &req->workspace_id, run_price(req, -1), now_ms))
            continue;
        asked[n] = i;
        keys[n++] = redis_key_credits(scratch, &req->workspace_id);
    }
    struct redis_value answer;
    if (n > 0 && redis_eval(redis, scratch, LUA_CREDITS_LOOK, keys, n, 0, &answer) == OK &&
        answer.kind == REDIS_LIST && answer.count == n) {
        for (size_t k = 0; k < n; k++) {
            if (answer.items[k].kind == REDIS_TEXT)
                candidates[asked[k]] =
                    strtoll(answer.items[k].text, NULL, 10) < run_price(b->entries[asked[k]].req, -1);
        }
    }
    talloc_free(scratch);
}

/* True if row r of account_read belongs to the request's workspace and shows insufficient credits. If the
 * price may be stale, a grant starts now, or the workspace has price lists, the transaction decides instead.
 * A request without a catalog version (a skill's) was validated against a price that was read for it. */
static bool lacks_credits(const struct db_rows *rows, size_t r, const struct run_request *req)
{
    int64_t price = db_int_or(rows, r, ACCOUNT_READ_PRICE, -1);
    return strcmp(db_str(rows, r, ACCOUNT_READ_WORKSPACE_ID), req->workspace_id.text) == 0 &&
           db_int(rows, r, ACCOUNT_READ_BALANCE) < run_price(req, price) &&
           db_int(rows, r, ACCOUNT_READ_HAS_DUE) == 0 && db_int(rows, r, ACCOUNT_READ_PRICES) == 0 &&
           (req->catalog_version == 0 ||
            !accept_version_may_be_stale(req, db_int(rows, r, ACCOUNT_READ_RESPONDERS)));
}

/* Asks MariaDB, without a lock. Entries that truly lack credits are rejected and never enter the transaction.
 */
static void confirm_candidates(struct db *db, struct accept_batch *b, const bool candidates[])
{
    void *scratch = talloc_new(b->ctx);
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (candidates[i])
            values[n++] = db_id(&b->entries[i].req->workspace_id);
    }
    struct db_rows *rows;
    if (n > 0 && db_run_each(db, scratch, SQL_ACCOUNT_READ, NULL, 0, values, 1, n, &rows) == OK) {
        for (size_t i = 0; i < b->n; i++) {
            for (size_t r = 0; candidates[i] && r < rows->count; r++) {
                if (lacks_credits(rows, r, b->entries[i].req))
                    b->entries[i].answer->verdict = RUN_INSUFFICIENT_CREDITS;
            }
        }
    }
    talloc_free(scratch);
}

void accept_reject_insufficient_credits(struct db *db, struct redis *redis, struct accept_batch *b)
{
    bool candidates[ACCEPT_BATCH_MAX];
    mark_candidates(redis, b, candidates);
    confirm_candidates(db, b, candidates);
}

/* --- after: publishing --- */

static void publish_queued(struct redis *redis, void *ctx, const struct run_request *req)
{
    char *event = event_json_make(ctx, &req->execution_id, 1, EVENT_QUEUED, id_ms(&req->execution_id),
                                  accept_queued_data(ctx, req));
    struct redis_arg publish[] = {redis_text("PUBLISH"), redis_channel_events(ctx, &req->execution_id),
                                  redis_text(event)};
    redis_queue(redis, publish, 3);
}

static void publish_started(struct redis *redis, void *ctx, const struct accept_entry *entry,
                            int64_t started_ms)
{
    const struct run_request *req = entry->req;
    const char *data = talloc_strndup(ctx, req->parent.started.at, req->parent.started.size);
    char *event =
        event_json_make(ctx, &req->parent.id, entry->parent_seq, EVENT_CHILD_STARTED, started_ms, data);
    struct redis_arg publish[] = {redis_text("PUBLISH"), redis_channel_events(ctx, &req->parent.id),
                                  redis_text(event)};
    redis_queue(redis, publish, 3);
}

void accept_publish(struct redis *redis, struct accept_batch *b)
{
    void *scratch = talloc_new(b->ctx);
    struct queued_run push[ACCEPT_BATCH_MAX];
    size_t pushed = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        bool accepted = entry->answer->verdict == RUN_ACCEPTED;
        if (accepted && !run_request_is_delayed(entry->req) && !entry->req->is_kept)
            push[pushed++] = (struct queued_run){&entry->req->workspace_id, &entry->req->execution_id};
        if (entry->req->idempotency_key.at && (accepted || entry->answer->verdict == RUN_REPLAYED))
            idempotency_cache_put(redis, scratch, entry->req, entry->answer);
    }
    run_queue_push(redis, scratch, push, pushed);
    cache_balances(b->accounts, b->accounts_n);
    account_publish(redis, b->accounts, b->accounts_n);
    for (size_t i = 0; i < b->n; i++) {
        if (b->entries[i].answer->verdict == RUN_ACCEPTED && !b->entries[i].req->is_item)
            publish_queued(redis, scratch, b->entries[i].req);
        if (b->entries[i].parent_seq > 0)
            publish_started(redis, scratch, &b->entries[i], b->started_ms);
    }
    redis_flush(redis);
    talloc_free(scratch);
}
