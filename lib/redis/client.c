#define _GNU_SOURCE /* POLLRDHUP */
#include "redis/redis.h"

#include <hiredis.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/keys.h"

enum {
    /* of connecting, and of a call */
    TIMEOUT_MS = 50,
    /* after a failure */
    BACKOFF_MS = 1000,
    /* from queued commands to a look at their answers, unless something reads them before */
    REPAIR_MS = 1000,
    /* the server ends a blocking command by itself; its answer may take this much longer */
    BLOCKING_GRACE_MS = 1000,
    /* of a command; run_queue_push has up to three a run, and seven */
    ARGS_MAX = 800,
    /* answers to queued commands; what is not read, Redis keeps in its memory without a limit */
    UNREAD_MAX = 256,
};

struct redis {
    redisContext *context;
    const char *socket;
    int64_t backoff_until_ms;
    /* answers to queued commands that were not read yet */
    size_t unread;
    /* the outage was logged; also set from other threads by redis_mute_disconnect */
    atomic_bool warned;
    unsigned failures;
    /* commands that nobody waits for were dropped, or may have been */
    bool has_gap;
    /* when redis_repair is due; 0: it has nothing to do */
    int64_t repair_ms;
};

struct redis_arg redis_text(const char *text)
{
    return redis_bytes(text, strlen(text));
}

struct redis_arg redis_bytes(const void *bytes, size_t size)
{
    return (struct redis_arg){.bytes = bytes, .size = size};
}

struct redis_arg redis_number(void *ctx, int64_t number)
{
    return redis_text(talloc_asprintf(ctx, "%lld", (long long)number));
}

static void redis_disconnect(struct redis *r)
{
    if (r->context)
        redisFree(r->context);
    r->has_gap |= r->unread > 0;
    r->context = NULL;
    r->unread = 0;
}

static enum err redis_fail_with(struct redis *r, const char *message)
{
    if (!r->warned)
        log_warn("redis.unreachable", "message=\"%s\"", message);
    r->warned = true;
    r->failures++;
    redis_disconnect(r);
    r->backoff_until_ms = clock_boot_ms() + BACKOFF_MS;
    return ERR_UNAVAILABLE;
}

/* hiredis cannot use a context after an error, so the connection is closed. */
static enum err redis_fail(struct redis *r)
{
    return redis_fail_with(r, r->context ? r->context->errstr : "cannot connect");
}

void redis_mute_disconnect(struct redis *r)
{
    atomic_store(&r->warned, true);
}

unsigned redis_take_failures(struct redis *r)
{
    unsigned n = r->failures;
    r->failures = 0;
    return n;
}

static void set_timeout(struct redis *r, int ms)
{
    redisSetTimeout(r->context, (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000});
}

static enum err append_command(struct redis *r, const struct redis_arg *args, size_t n)
{
    const char *argv[ARGS_MAX];
    size_t sizes[ARGS_MAX];
    if (n > ARGS_MAX)
        return ERR_INTERNAL;
    for (size_t i = 0; i < n; i++) {
        argv[i] = args[i].bytes;
        sizes[i] = args[i].size;
    }
    return redisAppendCommandArgv(r->context, (int)n, argv, sizes) == REDIS_OK ? OK : redis_fail(r);
}

/* Loads all scripts into the server. A queued script is sent by its hash alone, and its answer is not
 * evaluated, so the server must know it. */
static void load_scripts(struct redis *r)
{
    for (int i = 0; i < LUA_COUNT && r->context; i++) {
        const struct redis_arg args[] = {redis_text("SCRIPT"), redis_text("LOAD"),
                                         redis_text(lua_scripts[i].text)};
        if (append_command(r, args, 3) == OK)
            r->unread++;
    }
}

/* Tells subscribers that they may have missed a message: they read the database instead of waiting for the
 * next one. */
static void publish_gap(struct redis *r)
{
    void *scratch = talloc_new(NULL);
    const struct redis_arg args[] = {redis_text("PUBLISH"), redis_channel_gaps(scratch), redis_text("")};
    if (r->context && append_command(r, args, 3) == OK) {
        r->unread++;
        r->has_gap = false;
    }
    talloc_free(scratch);
}

/* True if the server closed the connection while it was idle. Queued commands sent into such a connection
 * would be lost at the first use after each restart of Redis. */
static bool is_closed(const struct redis *r)
{
    struct pollfd p = {.fd = r->context->fd, .events = POLLRDHUP};
    bool is_idle = *r->context->obuf == '\0'; /* no command waits to be sent */
    return is_idle && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static bool is_in_backoff(const struct redis *r)
{
    return !r->context && clock_boot_ms() < r->backoff_until_ms;
}

static enum err redis_connect(struct redis *r)
{
    if (r->context && !is_closed(r))
        return OK;
    redis_disconnect(r);
    if (is_in_backoff(r))
        return ERR_UNAVAILABLE;
    r->context = redisConnectUnixWithTimeout(r->socket, (struct timeval){.tv_usec = TIMEOUT_MS * 1000});
    if (!r->context || r->context->err)
        return redis_fail(r);
    set_timeout(r, TIMEOUT_MS);
    if (r->warned)
        log_info("redis.reconnected", "socket=%s", r->socket);
    r->warned = false;
    load_scripts(r);
    if (r->has_gap)
        publish_gap(r);
    return OK;
}

static void copy_value(void *ctx, const redisReply *reply, struct redis_value *v)
{
    *v = (struct redis_value){0};
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        v->kind = REDIS_NUMBER;
        v->number = reply->integer;
        break;
    case REDIS_REPLY_NIL:
        v->kind = REDIS_NIL;
        break;
    case REDIS_REPLY_ARRAY:
        v->kind = REDIS_LIST;
        v->count = reply->elements;
        v->items = talloc_zero_array(ctx, struct redis_value, reply->elements + 1);
        for (size_t i = 0; i < reply->elements; i++)
            copy_value(v->items, reply->element[i], &v->items[i]);
        break;
    default:
        v->kind = reply->type == REDIS_REPLY_ERROR ? REDIS_ERROR : REDIS_TEXT;
        v->size = (size_t)reply->len;
        v->text = talloc_strndup(ctx, reply->str, v->size);
    }
}

/* True for the errors of a server that is not the master, or not yet: after a failover the next connection
 * reaches the new one. Older servers put a script's error into a sentence of their own. */
static bool is_not_master(const redisReply *reply)
{
    static const char *const errors[] = {"READONLY ", "LOADING ", "MASTERDOWN ", "NOREPLICAS ", "UNBLOCKED "};
    if (reply->type != REDIS_REPLY_ERROR)
        return false;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (strncmp(reply->str, errors[i], strlen(errors[i])) == 0)
            return true;
    }
    return strstr(reply->str, "-READONLY ") != NULL;
}

/* Reads one answer. answer_r may be NULL: the answer is dropped. */
static enum err read_answer(struct redis *r, void *ctx, struct redis_value *answer_r)
{
    void *reply = NULL;
    if (redisGetReply(r->context, &reply) != REDIS_OK || !reply)
        return redis_fail(r);
    enum err e = is_not_master(reply) ? redis_fail_with(r, ((redisReply *)reply)->str) : OK;
    if (answer_r && e == OK)
        copy_value(ctx, reply, answer_r);
    freeReplyObject(reply);
    return e;
}

static enum err read_pending_answers(struct redis *r)
{
    for (; r->unread > 0; r->unread--) {
        if (read_answer(r, NULL, NULL) != OK)
            return ERR_UNAVAILABLE;
    }
    return OK;
}

enum err redis_call(struct redis *r, void *ctx, const struct redis_arg *args, size_t n,
                    struct redis_value *answer_r)
{
    if (redis_connect(r) != OK || read_pending_answers(r) != OK || append_command(r, args, n) != OK)
        return ERR_UNAVAILABLE;
    return read_answer(r, ctx, answer_r);
}

static size_t eval_args(struct redis_arg *out, char count[24], const char *verb, const char *script,
                        const struct redis_arg *args, size_t keys_n, size_t args_n)
{
    snprintf(count, 24, "%zu", keys_n);
    out[0] = redis_text(verb);
    out[1] = redis_text(script);
    out[2] = redis_text(count);
    memcpy(out + 3, args, sizeof *args * (keys_n + args_n));
    return 3 + keys_n + args_n;
}

enum err redis_eval(struct redis *r, void *ctx, enum lua_id script, const struct redis_arg *args,
                    size_t keys_n, size_t args_n, struct redis_value *answer_r)
{
    struct redis_arg all[ARGS_MAX];
    char count[24];
    if (keys_n + args_n + 3 > ARGS_MAX)
        return ERR_INTERNAL;
    size_t n = eval_args(all, count, "EVALSHA", lua_scripts[script].sha1, args, keys_n, args_n);
    enum err e = redis_call(r, ctx, all, n, answer_r);
    if (e == OK && answer_r->kind == REDIS_ERROR && strncmp(answer_r->text, "NOSCRIPT", 8) == 0) {
        eval_args(all, count, "EVAL", lua_scripts[script].text, args, keys_n, args_n);
        e = redis_call(r, ctx, all, n, answer_r);
    }
    if (e == OK && answer_r->kind == REDIS_ERROR) {
        log_warn("redis.script_failed", "script=%s message=\"%s\"", lua_scripts[script].name, answer_r->text);
        return ERR_UNAVAILABLE;
    }
    return e;
}

void redis_queue(struct redis *r, const struct redis_arg *args, size_t n)
{
    if (redis_connect(r) == OK && (r->unread < UNREAD_MAX || read_pending_answers(r) == OK) &&
        append_command(r, args, n) == OK)
        r->unread++;
    else
        r->has_gap = true;
}

void redis_queue_eval(struct redis *r, enum lua_id script, const struct redis_arg *args, size_t keys_n,
                      size_t args_n)
{
    struct redis_arg all[ARGS_MAX];
    char count[24];
    if (keys_n + args_n + 3 > ARGS_MAX)
        return;
    size_t n = eval_args(all, count, "EVALSHA", lua_scripts[script].sha1, args, keys_n, args_n);
    redis_queue(r, all, n);
}

void redis_flush(struct redis *r)
{
    int done = 0;
    while (r->context && r->unread > 0 && !done) {
        if (redisBufferWrite(r->context, &done) != REDIS_OK)
            (void)redis_fail(r);
    }
}

static bool is_unsure(const struct redis *r)
{
    return r->has_gap || r->unread > 0;
}

/* Reads the answers if they have begun to come; if they have not, the server is busy or hangs. */
static void look_at_answers(struct redis *r)
{
    redis_flush(r);
    struct pollfd p = {.fd = r->context ? r->context->fd : -1, .events = POLLIN};
    if (r->context && poll(&p, 1, 0) == 1)
        (void)read_pending_answers(r);
}

int redis_repair(struct redis *r)
{
    int64_t now_ms = clock_boot_ms();
    if (!is_unsure(r)) {
        r->repair_ms = 0;
        return -1;
    }
    if (r->repair_ms == 0)
        r->repair_ms = now_ms + REPAIR_MS;
    if (now_ms < r->repair_ms)
        return (int)(r->repair_ms - now_ms);
    if (redis_connect(r) == OK) {
        if (r->has_gap)
            publish_gap(r);
        look_at_answers(r);
    }
    r->repair_ms = is_unsure(r) ? clock_boot_ms() + REPAIR_MS : 0;
    return is_unsure(r) ? REPAIR_MS : -1;
}

enum err redis_call_blocking(struct redis *r, void *ctx, const struct redis_arg *args, size_t n,
                             int timeout_ms, struct redis_value *answer_r)
{
    if (redis_connect(r) != OK)
        return ERR_UNAVAILABLE;
    set_timeout(r, timeout_ms + BLOCKING_GRACE_MS);
    enum err e = redis_call(r, ctx, args, n, answer_r);
    if (r->context)
        set_timeout(r, TIMEOUT_MS);
    return e == OK && answer_r->kind == REDIS_NIL ? ERR_NOT_FOUND : e;
}

int redis_fd(const struct redis *r)
{
    return r->context ? r->context->fd : -1;
}

/* --- the whole client --- */

/* The last chance to learn what became of the queued commands: a command of a program that ends at once would
 * otherwise not notice that its messages were refused. */
static int redis_destroy(struct redis *r)
{
    redis_flush(r);
    (void)read_pending_answers(r);
    r->backoff_until_ms = 0;
    if (r->has_gap && redis_connect(r) == OK) {
        if (r->has_gap)
            publish_gap(r);
        (void)read_pending_answers(r);
    }
    redis_disconnect(r);
    return 0;
}

struct redis *redis_new(void *ctx, const char *socket)
{
    struct redis *r = talloc_zero(ctx, struct redis);
    r->socket = talloc_strdup(r, socket);
    talloc_set_destructor(r, redis_destroy);
    return r;
}
