/* What Redis does for accepting: it is asked before, and told after; a decision is never its own. */
#include <sodium.h>
#include <stdlib.h>
#include <talloc.h>

#include "core/accept_batch.h"
#include "core/clock.h"
#include "core/event_text.h"
#include "core/redis_keys.h"

enum { HEX_SIZE = 65 };

static void fingerprint_hex(const struct run_request *q, char hex[HEX_SIZE])
{
    sodium_bin2hex(hex, HEX_SIZE, q->fingerprint, sizeof q->fingerprint);
}

/* --- before: suspicion --- */

/* Marks the members whose workspaces Redis takes for empty; keyed ones have asked by themselves. */
static void suspect_by_redis(struct redis *redis, struct batch *b, bool suspects[])
{
    void *scratch = talloc_new(b->ctx);
    struct redis_arg keys[ACCEPT_BATCH_MAX];
    struct member *asked[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct member *m = &b->members[i];
        suspects[i] = m->q->credits_suspect;
        bool again = i > 0 && strcmp(m->q->workspace_id.text, b->members[i - 1].q->workspace_id.text) == 0;
        if (m->q->idempotency_key.at || again)
            continue;
        asked[n] = m;
        keys[n++] = redis_key_credits(scratch, &m->q->workspace_id);
    }
    struct redis_value answer;
    if (n > 0 && redis_eval(redis, scratch, LUA_CREDITS_LOOK, keys, n, 0, &answer) == OK &&
        answer.kind == REDIS_LIST && answer.count == n) {
        for (size_t k = 0; k < n; k++) {
            if (answer.items[k].kind != REDIS_TEXT)
                continue;
            int64_t balance = strtoll(answer.items[k].text, NULL, 10);
            for (size_t i = 0; i < b->n; i++) {
                const struct run_request *q = b->members[i].q;
                if (strcmp(q->workspace_id.text, asked[k]->q->workspace_id.text) == 0)
                    suspects[i] = suspects[i] || balance < accept_cost(q, -1);
            }
        }
    }
    talloc_free(scratch);
}

/* Whether something may be known of the request already, which is told whatever the balance is now: its key,
 * its tool call, or the child that an earlier try, whose answer was lost, has accepted and paid for. */
static bool may_be_known(const struct run_request *q)
{
    return q->idempotency_key.at || q->tool_call_id.at || !run_is_root(q);
}

/* Confirms suspicions without a lock: who truly has not enough is told so, and never enters the transaction.
 */
static void confirm_suspects(struct db *db, struct batch *b, const bool suspects[])
{
    void *scratch = talloc_new(b->ctx);
    struct db_value values[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (suspects[i] && !may_be_known(b->members[i].q))
            values[n++] = db_id(&b->members[i].q->workspace_id);
    }
    struct db_rows *rows;
    if (n > 0 && db_run_each(db, scratch, SQL_ACCOUNT_PEEK, NULL, 0, values, 1, n, &rows) == OK) {
        for (size_t i = 0; i < b->n; i++) {
            const struct run_request *q = b->members[i].q;
            for (size_t r = 0; suspects[i] && !may_be_known(q) && r < rows->count; r++) {
                int64_t price = db_cell(rows, r, 2)->is_null ? -1 : db_int(rows, r, 2);
                if (strcmp(db_str(rows, r, 0), q->workspace_id.text) == 0 &&
                    db_int(rows, r, 1) < accept_cost(q, price))
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
static struct redis_arg replay_entry(void *ctx, const struct run_request *q)
{
    char hex[HEX_SIZE];
    fingerprint_hex(q, hex);
    bool whole = q->kind == KIND_WORKFLOW;
    char *text = talloc_asprintf(ctx, "%s %d %s %.*s", hex, q->status, q->execution_id.text,
                                 whole ? (int)q->body.size : 0, whole ? q->body.at : "");
    return redis_bytes(text, talloc_get_size(text) - 1);
}

static void publish_key(struct redis *redis, void *ctx, const struct run_request *q)
{
    const int64_t replay_ms = 600000;
    struct span key = q->idempotency_key;
    struct redis_arg set[] = {redis_text("SET"), redis_key_replay(ctx, &q->workspace_id, key.at, key.size),
                              replay_entry(ctx, q), redis_text("PX"), redis_number(ctx, replay_ms)};
    redis_queue(redis, set, 5);
    struct redis_arg release[] = {redis_key_claim(ctx, &q->workspace_id, key.at, key.size),
                                  redis_text(q->execution_id.text)};
    redis_queue_eval(redis, LUA_ACCEPT_RELEASE, release, 1, 1);
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
        if (m->a->verdict != RUN_ACCEPTED)
            continue;
        push[2 + pushed++] = redis_text(m->q->execution_id.text);
        if (m->q->idempotency_key.at)
            publish_key(redis, scratch, m->q);
    }
    if (pushed > 0)
        redis_queue(redis, push, 2 + pushed);
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

enum run_verdict accept_look(struct redis *redis, void *ctx, struct run_request *q, bool *claimed_r,
                             struct run_answer *answer_r)
{
    struct span key = q->idempotency_key;
    struct redis_arg args[] = {
        redis_key_replay(ctx, &q->workspace_id, key.at, key.size),
        redis_key_claim(ctx, &q->workspace_id, key.at, key.size),
        redis_key_credits(ctx, &q->workspace_id),
        redis_text(q->execution_id.text),
    };
    struct redis_value v;
    enum run_verdict verdict = 0;
    *claimed_r = false;
    if (redis_eval(redis, ctx, LUA_ACCEPT_LOOK, args, 3, 1, &v) != OK || v.kind != REDIS_LIST || v.count != 3)
        return 0;
    if (v.items[0].kind == REDIS_TEXT)
        return read_replay(ctx, q, &v.items[0], &verdict, answer_r) ? verdict : 0;
    *claimed_r = v.items[1].number == 1;
    if (!*claimed_r)
        return RUN_IN_FLIGHT;
    if (v.items[2].kind == REDIS_TEXT)
        q->credits_suspect = strtoll(v.items[2].text, NULL, 10) < accept_cost(q, -1);
    return 0;
}

void accept_release(struct redis *redis, void *ctx, const struct run_request *q)
{
    struct redis_arg args[] = {
        redis_key_claim(ctx, &q->workspace_id, q->idempotency_key.at, q->idempotency_key.size),
        redis_text(q->execution_id.text),
    };
    redis_queue_eval(redis, LUA_ACCEPT_RELEASE, args, 1, 1);
    redis_flush(redis);
}
