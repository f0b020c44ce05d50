#include "redis/keys.h"

#include <sodium.h>
#include <talloc.h>

static const char *prefix = "millrace:";

void redis_keys_set_prefix(const char *p)
{
    prefix = p;
}

static struct redis_arg make_key(void *ctx, const char *noun, const char *rest)
{
    char *text = talloc_asprintf(ctx, "%s%s%s%s", prefix, noun, *rest ? ":" : "", rest);
    return redis_bytes(text, talloc_get_size(text) - 1);
}

/* Hashes the bytes, because an idempotency key is the client's and may be long: the Redis key is always short
 * and printable. */
static struct redis_arg make_hashed_key(void *ctx, const char *noun, const id *workspace, const char *bytes,
                                        size_t size)
{
    unsigned char hash[16];
    char hex[33];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes, size, NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    return make_key(ctx, noun, talloc_asprintf(ctx, "%s:%s", workspace->text, hex));
}

struct redis_arg redis_key_run_queue(void *ctx)
{
    return make_key(ctx, "work", "");
}

struct redis_arg redis_key_replay(void *ctx, const id *workspace, const char *bytes, size_t size)
{
    return make_hashed_key(ctx, "replay", workspace, bytes, size);
}

struct redis_arg redis_pattern_replays(void *ctx)
{
    return make_key(ctx, "replay", "*");
}

struct redis_arg redis_key_credits(void *ctx, const id *workspace)
{
    return make_key(ctx, "credits", workspace->text);
}

struct redis_arg redis_key_rate(void *ctx, const id *workspace)
{
    return make_key(ctx, "rate", workspace->text);
}

struct redis_arg redis_key_executor_log(void *ctx)
{
    return make_key(ctx, "executor_log", "");
}

struct redis_arg redis_channel_events(void *ctx, const id *execution)
{
    return make_key(ctx, "events", execution->text);
}

struct redis_arg redis_channel_stops(void *ctx)
{
    return make_key(ctx, "stops", "");
}

struct redis_arg redis_channel_accept_latency(void *ctx)
{
    return make_key(ctx, "accept-latency", "");
}

struct redis_arg redis_channel_children(void *ctx)
{
    return make_key(ctx, "children", "");
}

struct redis_arg redis_key_share_answers(void *ctx, const id *question)
{
    return make_key(ctx, "share-answers", question->text);
}

struct redis_arg redis_channel_shares(void *ctx)
{
    return make_key(ctx, "shares", "");
}

struct redis_arg redis_channel_gaps(void *ctx)
{
    return make_key(ctx, "gaps", "");
}
