/* What Redis does for accepting: it is asked before, and told after; a decision is never its own. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "account/idempotency.h"
#include "base/clock.h"
#include "redis/keys.h"
#include "run/accept_private.h"
#include "run/event_json.h"

enum { HEX_SIZE = 65 };

static void fingerprint_hex(const struct run_request *req, char hex[HEX_SIZE])
{
    sodium_bin2hex(hex, HEX_SIZE, req->fingerprint, sizeof req->fingerprint);
}

static struct redis_arg replay_key(void *ctx, const struct run_request *req)
{
    return redis_key_replay(ctx, &req->workspace_id, req->idempotency_key.at, req->idempotency_key.size);
}

/* --- before: suspicion --- */

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

/* Whether something may be known of the request already, which is told whatever the balance is now: its key,
 * its tool call, or the child that an earlier try, whose answer was lost, has accepted and paid for. */
static bool may_be_replay(const struct run_request *req)
{
    return req->idempotency_key.at || req->tool_call_id.at || !run_request_is_root(req);
}

/* Marks the entries whose workspaces Redis takes for empty. */
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
            balance_cache_covers(balance_cache, &req->workspace_id, accept_cost(req, -1), now_ms))
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
                    strtoll(answer.items[k].text, NULL, 10) < accept_cost(b->entries[asked[k]].req, -1);
        }
    }
    talloc_free(scratch);
}

/* Whether a row of account_read is the run's, and has not enough for it. Where its price is in doubt, the
 * transaction tells. (Without a number of the workspace's, as with skills, it was read for this very
 * request.) */
static bool lacks_credits(const struct db_rows *rows, size_t r, const struct run_request *req)
{
    int64_t price = db_cell(rows, r, ACCOUNT_READ_PRICE)->is_null ? -1 : db_int(rows, r, ACCOUNT_READ_PRICE);
    return strcmp(db_str(rows, r, ACCOUNT_READ_WORKSPACE_ID), req->workspace_id.text) == 0 &&
           db_int(rows, r, ACCOUNT_READ_BALANCE) < accept_cost(req, price) &&
           (req->catalog_version == 0 ||
            !accept_version_may_be_stale(req, db_int(rows, r, ACCOUNT_READ_RESPONDERS)));
}

/* Confirms suspicions without a lock: who truly has not enough is told so, and never enters the transaction.
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

/* "fingerprint status id body"; without a body where it holds what the caller sent: then only MariaDB may
 * replay. */
static struct redis_arg replay_entry(void *ctx, const struct run_request *req,
                                     const struct run_answer *answer)
{
    char hex[HEX_SIZE];
    fingerprint_hex(req, hex);
    bool whole = req->kind == KIND_WORKFLOW;
    char *text = talloc_asprintf(ctx, "%s %d %s %.*s", hex, answer->status, answer->execution_id.text,
                                 whole ? (int)answer->body.size : 0, whole ? answer->body.at : "");
    return redis_bytes(text, talloc_get_size(text) - 1);
}

/* Takes the place of the claim. Also what MariaDB replayed is told by Redis from now on: else all who repeat
 * it at the same time would wait for one another's transactions. Never beyond the key's day. */
static void publish_key(struct redis *redis, void *ctx, const struct accept_entry *entry)
{
    const int64_t replay_ms = 600000;
    int64_t left_ms = id_ms(&entry->answer->execution_id) + IDEMPOTENCY_HOURS * 3600000LL - clock_wall_ms();
    if (left_ms <= 0)
        return;
    struct redis_arg set[] = {redis_text("SET"), replay_key(ctx, entry->req),
                              replay_entry(ctx, entry->req, entry->answer), redis_text("PX"),
                              redis_number(ctx, left_ms < replay_ms ? left_ms : replay_ms)};
    redis_queue(redis, set, 5);
}

static void publish_queued(struct redis *redis, void *ctx, const struct run_request *req)
{
    char *event = event_json_make(ctx, &req->execution_id, 1, EVENT_QUEUED, id_ms(&req->execution_id), NULL);
    struct redis_arg publish[] = {redis_text("PUBLISH"), redis_channel_events(ctx, &req->execution_id),
                                  redis_text(event)};
    redis_queue(redis, publish, 3);
}

void accept_publish(struct redis *redis, struct accept_batch *b)
{
    void *scratch = talloc_new(b->ctx);
    struct redis_arg push[ACCEPT_BATCH_MAX + 2] = {redis_text("LPUSH"), redis_key_run_queue(scratch)};
    size_t pushed = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        bool accepted = entry->answer->verdict == RUN_ACCEPTED;
        if (accepted)
            push[2 + pushed++] = redis_text(entry->req->execution_id.text);
        if (entry->req->idempotency_key.at && (accepted || entry->answer->verdict == RUN_REPLAYED))
            publish_key(redis, scratch, entry);
    }
    if (pushed > 0)
        redis_queue(redis, push, 2 + pushed);
    cache_balances(b->accounts, b->accounts_n);
    account_publish(redis, b->accounts, b->accounts_n);
    for (size_t i = 0; i < b->n; i++) {
        if (b->entries[i].answer->verdict == RUN_ACCEPTED)
            publish_queued(redis, scratch, b->entries[i].req);
    }
    redis_flush(redis);
    talloc_free(scratch);
}

/* --- keyed requests, before and beside the batch --- */

/* Takes a replay entry apart. False where it is not ours to read, or has no body. */
static bool parse_replay_entry(void *ctx, const struct run_request *req, const struct redis_value *v,
                               enum run_verdict *verdict_r, struct run_answer *answer)
{
    char hex[HEX_SIZE];
    fingerprint_hex(req, hex);
    const size_t head = 64 + 1 + 3 + 1 + ID_LENGTH + 1;
    if (v->size < head)
        return false;
    *verdict_r = memcmp(v->text, hex, 64) == 0 ? RUN_REPLAYED : RUN_KEY_REUSED;
    answer->status = (int)strtol(v->text + 65, NULL, 10);
    if (!id_parse(v->text + 69, ID_LENGTH, &answer->execution_id))
        return false;
    answer->body =
        (struct span){.at = talloc_strndup(ctx, v->text + head, v->size - head), .size = v->size - head};
    return *verdict_r == RUN_KEY_REUSED || answer->body.size > 0;
}

/* "claim" and the execution id that would be: who is at it, for a second. */
static struct redis_arg cache_lock_entry(void *ctx, const struct run_request *req)
{
    return redis_text(talloc_asprintf(ctx, IDEMPOTENCY_CACHE_LOCK "%s", req->execution_id.text));
}

enum run_verdict idempotency_cache_get_or_lock(struct redis *redis, void *ctx, const struct run_request *req,
                                               bool *locked_r, struct run_answer *answer_r)
{
    const int64_t lock_ms = 1000;
    struct redis_arg set[] = {redis_text("SET"),         replay_key(ctx, req), cache_lock_entry(ctx, req),
                              redis_text("NX"),          redis_text("GET"),    redis_text("PX"),
                              redis_number(ctx, lock_ms)};
    struct redis_value v;
    enum run_verdict verdict = 0;
    bool known = redis_call(redis, ctx, set, 7, &v) == OK;
    *locked_r = known && v.kind == REDIS_NIL; /* it was set, as nothing was there */
    if (!known || v.kind != REDIS_TEXT)
        return 0;
    if (strncmp(v.text, IDEMPOTENCY_CACHE_LOCK, sizeof IDEMPOTENCY_CACHE_LOCK - 1) == 0)
        return RUN_IN_FLIGHT;
    return parse_replay_entry(ctx, req, &v, &verdict, answer_r) ? verdict : 0;
}

void idempotency_cache_unlock(struct redis *redis, void *ctx, const struct run_request *req)
{
    struct redis_arg args[] = {
        replay_key(ctx, req),
        cache_lock_entry(ctx, req),
    };
    redis_queue_eval(redis, LUA_ACCEPT_RELEASE, args, 1, 1);
    redis_flush(redis);
}
