/* Redis: one connection of one thread. All it holds is a copy or a hint, so every call may fail without harm:
 * ERR_UNAVAILABLE means "not now". After a failure Redis counts as away for one second and calls return at
 * once; a call waits at most 50 ms. Scripts are redis/NAME.lua, run as LUA_NAME. Open after fork only. Not
 * thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "redis/lua.h"

struct redis;

/* Never fails; connects at first use. talloc_free closes. */
struct redis *redis_new(void *ctx, const char *socket);

/* How often Redis turned out to be away, or was found lost, since the last call of this. */
unsigned redis_take_failures(struct redis *r);

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

/* One command and its answer (of ctx; NULL where nobody looks). */
enum err redis_call(struct redis *r, void *ctx, const struct redis_arg *args, size_t n,
                    struct redis_value *answer_r) WARN_UNUSED;
/* A script: `keys_n` keys, then arguments. Sent as EVALSHA, as EVAL where the server has lost it. */
enum err redis_eval(struct redis *r, void *ctx, enum lua_id script, const struct redis_arg *args,
                    size_t keys_n, size_t args_n, struct redis_value *answer_r) WARN_UNUSED;

/* Commands whose answers nobody waits for: queued, sent together by redis_flush, their answers read and
 * dropped before the next command. Nothing is told of failures: they are hints. */
void redis_queue(struct redis *r, const struct redis_arg *args, size_t n);
void redis_queue_eval(struct redis *r, enum lua_id script, const struct redis_arg *args, size_t keys_n,
                      size_t args_n);
void redis_flush(struct redis *r);

/* Waits up to timeout_ms for the answer of a blocking command (BRPOP). ERR_NOT_FOUND where nothing came. */
enum err redis_call_blocking(struct redis *r, void *ctx, const struct redis_arg *args, size_t n,
                             int timeout_ms, struct redis_value *answer_r) WARN_UNUSED;

/* Subscriptions, on a connection of their own: the descriptor to watch (-1 while away), and the next message
 * that has come, if any (ERR_NOT_FOUND where none, ERR_UNAVAILABLE where the connection was lost). */
enum err redis_subscribe(struct redis *r, const struct redis_arg *channels, size_t n) WARN_UNUSED;
int redis_fd(const struct redis *r);
enum err redis_next_message(struct redis *r, void *ctx, struct redis_value *message_r) WARN_UNUSED;

/* Its connection is about to be cut on purpose: that is no news. From any thread. */
void redis_mute_disconnect(struct redis *r);

/* Whether it counts as away right now. */
bool redis_in_backoff(const struct redis *r);

/* --- subscriptions for an event loop: many channels that come and go, nothing ever waits ---
 * Requests are queued and leave with redis_subscriber_write; the caller watches the descriptor for reading,
 * and for writing while wants_write says so. Any failure drops the connection, and all subscriptions with it:
 * ERR_UNAVAILABLE. */
struct redis_subscriber;
struct redis_subscriber *redis_subscriber_new(void *ctx, const char *socket);
/* A new connection without subscriptions. */
enum err redis_subscriber_connect(struct redis_subscriber *s) WARN_UNUSED;
int redis_subscriber_fd(const struct redis_subscriber *s); /* -1: not connected */
void redis_subscriber_add(struct redis_subscriber *s, struct redis_arg channel);
void redis_subscriber_remove(struct redis_subscriber *s, struct redis_arg channel);
enum err redis_subscriber_write(struct redis_subscriber *s, bool *wants_write_r) WARN_UNUSED;
/* Reads what has come, once, when the descriptor is readable. */
enum err redis_subscriber_read(struct redis_subscriber *s) WARN_UNUSED;

enum redis_event_kind { REDIS_EVENT_SUBSCRIBED, REDIS_EVENT_MESSAGE, REDIS_EVENT_OTHER };
struct redis_event { /* valid until the next call */
    enum redis_event_kind kind;
    struct redis_arg channel, message;
};
/* The next of what was read: ERR_NOT_FOUND where there is no more. */
enum err redis_subscriber_next(struct redis_subscriber *s, struct redis_event *event_r) WARN_UNUSED;
