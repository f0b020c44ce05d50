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

static void fingerprint_hex(const struct run_request *q, char hex[HEX_SIZE])
{
    sodium_bin2hex(hex, HEX_SIZE, q->fingerprint, sizeof q->fingerprint);
}

static struct redis_arg key_of(void *ctx, const struct run_request *q)
{
    return redis_key_replay(ctx, &q->workspace_id, q->idempotency_key.at, q->idempotency_key.size);
}

/* --- before: suspicion --- */

static struct seen_balances own_balances, *balances = &own_balances;

void accept_share_balances(struct seen_balances *shared)
{
    balances = shared;
}

static void see_balances(const struct account *accounts, size_t n)
{
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < n; i++)
        seen_balances_put(balances, &accounts[i].workspace_id, accounts[i].balance, now_ms);
}

/* Whether something may be known of the request already, which is told whatever the balance is now: its key,
 * its tool call, or the child that an earlier try, whose answer was lost, has accepted and paid for. */
static bool may_be_known(const struct run_request *q)
{
    return q->idempotency_key.at || q->tool_call_id.at || !run_is_root(q);
}

/* Marks the members whose workspaces Redis takes for empty. */
static void suspect_by_redis(struct redis *redis, struct batch *b, bool suspects[])
{
    void *scratch = talloc_new(b->ctx);
    struct redis_arg keys[ACCEPT_BATCH_MAX];
    size_t asked[ACCEPT_BATCH_MAX];
    size_t n = 0;
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *q = b->members[i].q;
        suspects[i] = false;
        if (may_be_known(q) || seen_balances_enough(balances, &q->workspace_id, accept_cost(q, -1), now_ms))
            continue;
        asked[n] = i;
        keys[n++] = redis_key_credits(scratch, &q->workspace_id);
    }
    struct redis_value answer;
    if (n > 0 && redis_eval(redis, scratch, LUA_CREDITS_LOOK, keys, n, 0, &answer) == OK &&
        answer.kind == REDIS_LIST && answer.count == n) {
        for (size_t k = 0; k < n; k++) {
            if (answer.items[k].kind == REDIS_TEXT)
                suspects[asked[k]] =
                    strtoll(answer.items[k].text, NULL, 10) < accept_cost(b->members[asked[k]].q, -1);
        }
    }
    talloc_free(scratch);
}

/* Whether a row of account_peek is the run's, and has not enough for it. Where its price is in doubt, the
 * transaction tells. (Without a number of the workspace's, as with skills, it was read for this very
 * request.) */
static bool is_poor(const struct db_rows *rows, size_t r, const struct run_request *q)
{
    int64_t price = db_cell(rows, r, 2)->is_null ? -1 : db_int(rows, r, 2);
    return strcmp(db_str(rows, r, 0), q->workspace_id.text) == 0 &&
           db_int(rows, r, 1) < accept_cost(q, price) &&
           (q->responders == 0 || !accept_in_doubt(q, db_int(rows, r, 3)));
}

/* Confirms suspicions without a lock: who truly has not enough is told so, and never enters the transaction.
 */
static void confirm_suspects(struct db *db, struct batch *b, const bool suspects[])
{
    void *scratch = talloc_new(b->ctx);
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (suspects[i])
            values[n++] = db_id(&b->members[i].q->workspace_id);
    }
    struct db_rows *rows;
    if (n > 0 && db_run_each(db, scratch, SQL_ACCOUNT_PEEK, NULL, 0, values, 1, n, &rows) == OK) {
        for (size_t i = 0; i < b->n; i++) {
            for (size_t r = 0; suspects[i] && r < rows->count; r++) {
                if (is_poor(rows, r, b->members[i].q))
                    b->members[i].a->verdict = RUN_INSUFFICIENT_CREDITS;
            }
        }
    }
    talloc_free(scratch);
}

void accept_refuse_poor(struct db *db, struct redis *redis, struct batch *b)
{
    bool suspects[ACCEPT_BATCH_MAX];
    suspect_by_redis(redis, b, suspects);
    confirm_suspects(db, b, suspects);
}

/* --- after: publishing --- */

/* "fingerprint status id body"; without a body where it holds what the caller sent: then only MariaDB may
 * replay. */
static struct redis_arg replay_entry(void *ctx, const struct run_request *q, const struct run_answer *a)
{
    char hex[HEX_SIZE];
    fingerprint_hex(q, hex);
    bool whole = q->kind == KIND_WORKFLOW;
    char *text = talloc_asprintf(ctx, "%s %d %s %.*s", hex, a->status, a->execution_id.text,
                                 whole ? (int)a->body.size : 0, whole ? a->body.at : "");
    return redis_bytes(text, talloc_get_size(text) - 1);
}

/* Takes the place of the claim. Also what MariaDB replayed is told by Redis from now on: else all who repeat
 * it at the same time would wait for one another's transactions. Never beyond the key's day. */
static void publish_key(struct redis *redis, void *ctx, const struct member *m)
{
    const int64_t replay_ms = 600000;
    int64_t left_ms = id_ms(&m->a->execution_id) + IDEMPOTENCY_HOURS * 3600000LL - clock_wall_ms();
    if (left_ms <= 0)
        return;
    struct redis_arg set[] = {redis_text("SET"), key_of(ctx, m->q), replay_entry(ctx, m->q, m->a),
                              redis_text("PX"), redis_number(ctx, left_ms < replay_ms ? left_ms : replay_ms)};
    redis_queue(redis, set, 5);
}

static void publish_queued(struct redis *redis, void *ctx, const struct run_request *q)
{
    char *event = event_text(ctx, &q->execution_id, 1, EVENT_QUEUED, id_ms(&q->execution_id), NULL);
    struct redis_arg publish[] = {redis_text("PUBLISH"), redis_channel_events(ctx, &q->execution_id),
                                  redis_text(event)};
    redis_queue(redis, publish, 3);
}

void accept_publish(struct redis *redis, struct batch *b)
{
    void *scratch = talloc_new(b->ctx);
    struct redis_arg push[ACCEPT_BATCH_MAX + 2] = {redis_text("LPUSH"), redis_key_queue(scratch)};
    size_t pushed = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        bool accepted = m->a->verdict == RUN_ACCEPTED;
        if (accepted)
            push[2 + pushed++] = redis_text(m->q->execution_id.text);
        if (m->q->idempotency_key.at && (accepted || m->a->verdict == RUN_REPLAYED))
            publish_key(redis, scratch, m);
    }
    if (pushed > 0)
        redis_queue(redis, push, 2 + pushed);
    see_balances(b->accounts, b->accounts_n);
    account_publish(redis, b->accounts, b->accounts_n);
    for (size_t i = 0; i < b->n; i++) {
        if (b->members[i].a->verdict == RUN_ACCEPTED)
            publish_queued(redis, scratch, b->members[i].q);
    }
    redis_flush(redis);
    talloc_free(scratch);
}

/* --- keyed requests, before and beside the batch --- */

/* Takes a replay entry apart. False where it is not ours to read, or has no body. */
static bool read_replay(void *ctx, const struct run_request *q, const struct redis_value *v,
                        enum run_verdict *verdict_r, struct run_answer *a)
{
    char hex[HEX_SIZE];
    fingerprint_hex(q, hex);
    const size_t head = 64 + 1 + 3 + 1 + ID_LENGTH + 1;
    if (v->size < head)
        return false;
    *verdict_r = memcmp(v->text, hex, 64) == 0 ? RUN_REPLAYED : RUN_KEY_REUSED;
    a->status = (int)strtol(v->text + 65, NULL, 10);
    if (!id_parse(v->text + 69, ID_LENGTH, &a->execution_id))
        return false;
    a->body =
        (struct span){.at = talloc_strndup(ctx, v->text + head, v->size - head), .size = v->size - head};
    return *verdict_r == RUN_KEY_REUSED || a->body.size > 0;
}

/* "claim" and the execution id that would be: who is at it, for a second. */
static struct redis_arg claim_entry(void *ctx, const struct run_request *q)
{
    return redis_text(talloc_asprintf(ctx, ACCEPT_CLAIM "%s", q->execution_id.text));
}

enum run_verdict accept_look(struct redis *redis, void *ctx, const struct run_request *q, bool *claimed_r,
                             struct run_answer *answer_r)
{
    const int64_t claim_ms = 1000;
    struct redis_arg set[] = {redis_text("SET"),          key_of(ctx, q),    claim_entry(ctx, q),
                              redis_text("NX"),           redis_text("GET"), redis_text("PX"),
                              redis_number(ctx, claim_ms)};
    struct redis_value v;
    enum run_verdict verdict = 0;
    bool known = redis_call(redis, ctx, set, 7, &v) == OK;
    *claimed_r = known && v.kind == REDIS_NIL; /* it was set, as nothing was there */
    if (!known || v.kind != REDIS_TEXT)
        return 0;
    if (strncmp(v.text, ACCEPT_CLAIM, sizeof ACCEPT_CLAIM - 1) == 0)
        return RUN_IN_FLIGHT;
    return read_replay(ctx, q, &v, &verdict, answer_r) ? verdict : 0;
}

void accept_release(struct redis *redis, void *ctx, const struct run_request *q)
{
    struct redis_arg args[] = {
        key_of(ctx, q),
        claim_entry(ctx, q),
    };
    redis_queue_eval(redis, LUA_ACCEPT_RELEASE, args, 1, 1);
    redis_flush(redis);
}
