/* The names of all keys and channels of Redis that Millrace uses. All begin with the setting redis.prefix.
 * The texts are of ctx. */
#pragma once

#include "base/ids.h"
#include "redis/redis.h"

/* Call it once at start, before the others. The prefix is kept by pointer. */
void redis_keys_set_prefix(const char *prefix);

/* Sorted set of the workspaces with queued executions. With ":WORKSPACE" appended, the list of their ids; see
 * run_queue.h. */
struct redis_arg redis_key_run_queue(void *ctx);
/* Of an idempotency key: its stored response, or the lock of the request that is in progress
 * (lib/run/accept_redis.c). */
struct redis_arg redis_key_replay(void *ctx, const id *workspace, const char *key, size_t size);
/* Pattern of all keys of redis_key_replay, for SCAN. */
struct redis_arg redis_pattern_replays(void *ctx);
/* Hash {balance, version}: a copy of the workspace's account. */
struct redis_arg redis_key_credits(void *ctx, const id *workspace);
/* Number of tokens taken in the current window of the rate limit. */
struct redis_arg redis_key_rate(void *ctx, const id *workspace);
/* Stream of what the executors log (lib/redis/log_stream.h). */
struct redis_arg redis_key_executor_log(void *ctx);
/* List of the answers to a question, by the question's id (lib/redis/share_question.h). */
struct redis_arg redis_key_share_answers(void *ctx, const id *question);
/* Channel of questions about the units of shared pools that a workspace holds. */
struct redis_arg redis_channel_shares(void *ctx);
/* Channel of one execution's events, as JSON. */
struct redis_arg redis_channel_events(void *ctx, const id *execution);
/* Channel of the ids of stopped executions. */
struct redis_arg redis_channel_stops(void *ctx);
/* Channel on which hosts of the API publish the median time of their last accepts, in microseconds. */
struct redis_arg redis_channel_accept_latency(void *ctx);
/* Channel of ended children: "PARENT CHILD", two ids. */
struct redis_arg redis_channel_children(void *ctx);
/* Channel of publishers that could not publish for a while. The client sends it by itself; the message is
 * empty. */
struct redis_arg redis_channel_gaps(void *ctx);
