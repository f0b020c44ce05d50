#include "run/idempotency_cache.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "redis/keys.h"

enum { HEX_SIZE = 2 * IDEMPOTENCY_FINGERPRINT + 1 };

static void fingerprint_hex(const struct run_request *req, char hex[HEX_SIZE])
{
    sodium_bin2hex(hex, HEX_SIZE, req->fingerprint, sizeof req->fingerprint);
}

static struct redis_arg replay_key(void *ctx, const struct run_request *req)
{
    return redis_key_replay(ctx, &req->workspace_id, req->idempotency_key.at, req->idempotency_key.size);
}

/* "fingerprint status id body". The body of a skill's run is left out, because it contains what the caller
 * sent: such a response is replayed by MariaDB only. */
static struct redis_arg replay_entry(void *ctx, const struct run_request *req,
                                     const struct run_answer *answer)
{
    char hex[HEX_SIZE];
    fingerprint_hex(req, hex);
    struct span body = req->kind == KIND_WORKFLOW ? answer->response.body : span_text("");
    char *text = talloc_asprintf(ctx, "%s %d %s %.*s", hex, answer->response.status,
                                 answer->execution_id.text, (int)body.size, body.at);
    return redis_bytes(text, talloc_get_size(text) - 1);
}

void idempotency_cache_put(struct redis *redis, void *ctx, const struct run_request *req,
                           const struct run_answer *answer)
{
    const int64_t replay_ms = 600000;
    /* An entry never outlives its key. */
    int64_t left_ms = id_ms(&answer->execution_id) + IDEMPOTENCY_HOURS * 3600000LL - clock_wall_ms();
    if (left_ms <= 0)
        return;
    struct redis_arg set[] = {redis_text("SET"), replay_key(ctx, req), replay_entry(ctx, req, answer),
                              redis_text("PX"), redis_number(ctx, left_ms < replay_ms ? left_ms : replay_ms)};
    redis_queue(redis, set, 5);
}

/* Parses an entry of replay_entry. False if it is malformed, or if it replays without a body. */
static bool parse_replay_entry(void *ctx, const struct run_request *req, const struct redis_value *v,
                               enum run_verdict *verdict_r, struct run_answer *answer)
{
    char hex[HEX_SIZE];
    fingerprint_hex(req, hex);
    const size_t status_at = HEX_SIZE, id_at = status_at + 4, head = id_at + ID_LENGTH + 1;
    if (v->size < head)
        return false;
    *verdict_r = memcmp(v->text, hex, HEX_SIZE - 1) == 0 ? RUN_REPLAYED : RUN_KEY_REUSED;
    answer->response.status = (int)strtol(v->text + status_at, NULL, 10);
    if (!id_parse(v->text + id_at, ID_LENGTH, &answer->execution_id))
        return false;
    answer->response.body =
        (struct span){.at = talloc_strndup(ctx, v->text + head, v->size - head), .size = v->size - head};
    return *verdict_r == RUN_KEY_REUSED || answer->response.body.size > 0;
}

/* The lock's value names the execution that holds it, so that only its holder releases it. */
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
    *locked_r = known && v.kind == REDIS_NIL; /* no value was there, so ours was set */
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
