/* Every key and channel of Redis that Millrace uses, named in this one file's .c. All begin with the setting
 * redis.prefix. The strings are of ctx. */
#pragma once

#include "base/ids.h"
#include "redis/redis.h"

/* Set once at start, before any other call; kept by pointer. */
void redis_keys_set_prefix(const char *prefix);

struct redis_arg redis_key_run_queue(void *ctx); /* list of execution ids waiting to be claimed */
/* of an idempotency key: its stored answer, or the claim of who is at it (lib/run/accept_redis.c) */
struct redis_arg redis_key_replay(void *ctx, const id *workspace, const char *key, size_t size);
struct redis_arg redis_pattern_replays(void *ctx);                     /* all of them, for SCAN */
struct redis_arg redis_key_credits(void *ctx, const id *workspace);    /* hash {balance, version} */
struct redis_arg redis_key_rate(void *ctx, const id *workspace);       /* tokens taken in this window */
struct redis_arg redis_channel_events(void *ctx, const id *execution); /* events of one execution, as JSON */
struct redis_arg redis_channel_stops(void *ctx);    /* ids of executions that were stopped */
struct redis_arg redis_channel_children(void *ctx); /* "parent child": a child that has ended */
