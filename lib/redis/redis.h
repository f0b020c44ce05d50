/* Redis: one connection, used by one thread. Redis holds only copies and hints, so every call may fail
 * without harm; ERR_UNAVAILABLE means that Redis is unreachable or rejected the command. A call waits at most
 * 50 ms. For 1 s after a failure, calls return at once without trying. Scripts are lua/NAME.lua, run as
 * LUA_NAME. Open it after fork only. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "redis/lua.h"

struct redis;

/* Always succeeds; the connection is made at first use. talloc_free reads the answers to queued commands,
 * tells the subscribers if messages are missing (redis_repair), and closes it. It waits at most 50 ms for
 * each answer; after one that does not come, it connects once more, for that message only. */
struct redis *redis_new(void *ctx, const char *socket);

/* How often Redis was unreachable, or the connection was lost, since the last call. */
unsigned redis_take_failures(struct redis *r);

/* An argument of a command: bytes that the caller owns. */
struct redis_arg {
    const char *bytes;
    size_t size;
};
struct redis_arg redis_text(const char *text);
struct redis_arg redis_bytes(const void *bytes, size_t size);
struct redis_arg redis_number(void *ctx, int64_t number);

/* An answer. An error answer of the server is REDIS_ERROR with its text. */
struct redis_value {
    enum { REDIS_NIL, REDIS_NUMBER, REDIS_TEXT, REDIS_LIST, REDIS_ERROR } kind;
    int64_t number;
    const char *text;
    size_t size;
    struct redis_value *items;
    size_t count;
};

/* Sends one command and waits for its answer, which is of ctx. answer_r may be NULL. */
enum err redis_call(struct redis *r, void *ctx, const struct redis_arg *args, size_t n,
                    struct redis_value *answer_r) WARN_UNUSED;
/* Runs a script with `keys_n` keys, followed by `args_n` arguments. It is sent as EVALSHA, and as EVAL if the
 * server does not know it any more. An error answer is logged and is ERR_UNAVAILABLE. */
enum err redis_eval(struct redis *r, void *ctx, enum lua_id script, const struct redis_arg *args,
                    size_t keys_n, size_t args_n, struct redis_value *answer_r) WARN_UNUSED;

/* Commands without an answer: queued and sent together by redis_flush. Their answers are read and dropped
 * before the next redis_call, and by redis_queue when 256 are unread, which may wait 50 ms. Failures are not
 * reported, because these commands are hints. */
void redis_queue(struct redis *r, const struct redis_arg *args, size_t n);
void redis_queue_eval(struct redis *r, enum lua_id script, const struct redis_arg *args, size_t keys_n,
                      size_t args_n);
void redis_flush(struct redis *r);
/* For a thread that waits: a second after queued commands were sent, it looks at their answers, and tells the
 * subscribers if messages are missing (the channel `gaps`, redis/keys.h), again every second until that has
 * worked. Otherwise the thread's next command would do so. Does not wait for Redis. Returns the milliseconds
 * until it is to be called again; -1: when further commands were queued. */
int redis_repair(struct redis *r);

/* Sends a blocking command (BRPOP) and waits up to timeout_ms, and 1 s more, for its answer. ERR_NOT_FOUND:
 * the server's own timeout passed. */
enum err redis_call_blocking(struct redis *r, void *ctx, const struct redis_arg *args, size_t n,
                             int timeout_ms, struct redis_value *answer_r) WARN_UNUSED;

/* The descriptor of the connection, so that another thread can shut it down and end a blocking command. -1:
 * not connected. */
int redis_fd(const struct redis *r);
/* Suppresses the warning of a lost connection, because the connection is about to be closed deliberately.
 * Thread-safe. */
void redis_mute_disconnect(struct redis *r);
