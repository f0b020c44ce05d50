#include "redis/subscriber.h"

#include <hiredis/adapters/libevent.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"

struct redis_subscriber {
    struct event_base *base;
    const char *socket;
    const struct redis_subscriber_callbacks *callbacks;
    void *arg;
    /* NULL: not connected. context->data points back here until the connection is given up. */
    redisAsyncContext *context;
    /* the outage was logged */
    bool warned;
};

static void log_unreachable(struct redis_subscriber *s, const char *message)
{
    if (!s->warned)
        log_warn("redis.unreachable", "message=\"%s\"", message);
    s->warned = true;
}

/* Separates the subscriber from a context that ends. hiredis frees the context after the callback that
 * reports its end; redisAsyncFree calls further callbacks, which find no subscriber. NULL: separated already.
 */
static struct redis_subscriber *forget_context(const redisAsyncContext *context)
{
    struct redis_subscriber *s = context->data;
    if (!s)
        return NULL;
    s->context->data = NULL;
    s->context = NULL;
    return s;
}

static void on_context_ended(const redisAsyncContext *context, int status)
{
    struct redis_subscriber *s = forget_context(context);
    if (!s)
        return;
    log_unreachable(s, context->errstr ? context->errstr : "connection closed");
    if (s->callbacks->on_lost)
        s->callbacks->on_lost(s->arg);
}

static void on_context_connected(const redisAsyncContext *context, int status)
{
    if (status != REDIS_OK)
        on_context_ended(context, status);
}

static bool is_text(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING;
}

/* A reply is ["subscribe", channel, count] or ["message", channel, text]; others are ignored. NULL: the
 * connection is being closed. */
static void on_reply(redisAsyncContext *context, void *reply, void *unused)
{
    struct redis_subscriber *s = context->data;
    const redisReply *r = reply;
    if (!s || !r || r->type != REDIS_REPLY_ARRAY || r->elements != 3 || !is_text(r->element[0]) ||
        !is_text(r->element[1]))
        return;
    struct redis_arg channel = redis_bytes(r->element[1]->str, (size_t)r->element[1]->len);
    if (strcmp(r->element[0]->str, "subscribe") == 0 && s->callbacks->on_subscribed)
        s->callbacks->on_subscribed(s->arg, channel);
    if (strcmp(r->element[0]->str, "message") == 0 && is_text(r->element[2]) && s->callbacks->on_message)
        s->callbacks->on_message(s->arg, channel,
                                 redis_bytes(r->element[2]->str, (size_t)r->element[2]->len));
}

static void close_context(struct redis_subscriber *s)
{
    redisAsyncContext *context = s->context;
    if (!context)
        return;
    (void)forget_context(context);
    redisAsyncFree(context);
}

static int subscriber_destroy(struct redis_subscriber *s)
{
    close_context(s);
    return 0;
}

struct redis_subscriber *redis_subscriber_new(void *ctx, struct event_base *base, const char *socket,
                                              const struct redis_subscriber_callbacks *callbacks, void *arg)
{
    struct redis_subscriber *s = talloc_zero(ctx, struct redis_subscriber);
    s->base = base;
    s->socket = talloc_strdup(s, socket);
    s->callbacks = callbacks;
    s->arg = arg;
    talloc_set_destructor(s, subscriber_destroy);
    return s;
}

enum err redis_subscriber_connect(struct redis_subscriber *s)
{
    close_context(s);
    redisAsyncContext *context = redisAsyncConnectUnix(s->socket);
    if (!context || context->err || redisLibeventAttach(context, s->base) != REDIS_OK) {
        log_unreachable(s, context && context->errstr ? context->errstr : "cannot connect");
        if (context)
            redisAsyncFree(context);
        return ERR_UNAVAILABLE;
    }
    context->data = s;
    s->context = context;
    redisAsyncSetConnectCallback(context, on_context_connected);
    redisAsyncSetDisconnectCallback(context, on_context_ended);
    if (s->warned)
        log_info("redis.reconnected", "socket=%s", s->socket);
    s->warned = false;
    return OK;
}

bool redis_subscriber_is_connected(const struct redis_subscriber *s)
{
    return s->context != NULL;
}

static void send_command(struct redis_subscriber *s, const char *verb, struct redis_arg channel)
{
    const char *argv[] = {verb, channel.bytes};
    size_t sizes[] = {strlen(verb), channel.size};
    if (s->context)
        redisAsyncCommandArgv(s->context, on_reply, NULL, 2, argv, sizes);
}

void redis_subscriber_add(struct redis_subscriber *s, struct redis_arg channel)
{
    send_command(s, "SUBSCRIBE", channel);
}

void redis_subscriber_remove(struct redis_subscriber *s, struct redis_arg channel)
{
    send_command(s, "UNSUBSCRIBE", channel);
}
