#include "stream/subscriptions.h"

#include <string.h>
#include <talloc.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "redis/keys.h"
#include "run/event_json.h"

enum {
    LOOK_MAX = 1024, /* runs in one look: a few milliseconds of the database thread */
    DOUBT_MS = 5000, /* publishers leave Redis alone for a second after a failure */
};

struct watch {
    id execution, workspace;
    struct watcher *watchers;
    int waiters;
    bool subscribed;               /* Redis has said so */
    bool wanted;                   /* in the list of those to look at */
    const struct run_sight *sight; /* while a look's answers are told */
    struct watch *older;           /* in that list */
    UT_hash_handle hh;
};

struct hub {
    struct event_base *base;
    struct reader *reader;
    struct watch *watches; /* by execution */
    struct watch *wanted;  /* to be looked at */
    bool looking;          /* a look is under way */
    struct redis_subscriber *redis;
    struct event *readable, *writable;
    int64_t doubt_until_ms; /* boot time; until then publishers may not know that Redis is back */
};

const id *watch_execution(const struct watch *watch)
{
    return &watch->execution;
}

const id *watch_workspace(const struct watch *watch)
{
    return &watch->workspace;
}

static struct watch *find_watch(struct hub *hub, const char *execution)
{
    struct watch *w;
    HASH_FIND(hh, hub->watches, execution, ID_LENGTH, w);
    return w;
}

/* --- looking: MariaDB --- */

static void look_next(struct hub *hub);

static void want_look(struct hub *hub, struct watch *w)
{
    if (w->wanted)
        return;
    w->wanted = true;
    w->older = hub->wanted;
    hub->wanted = w;
}

static bool has_id(const id *ids, size_t n, const id *wanted)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(ids[i].text, wanted->text) == 0)
            return true;
    }
    return false;
}

static void tell_sight(struct read_job *job, struct watch *w)
{
    const struct run_sight *sight = w->sight;
    w->sight = NULL;
    struct watcher *next;
    for (struct watcher *x = w->watchers; x; x = next) {
        next = x->next;
        bool asked = x->check_key && has_id(job->keys, job->keys_n, &x->key);
        if (asked)
            x->check_key = false;
        if (asked && !has_id(job->live_keys, job->live_keys_n, &x->key))
            x->calls->revoked(x);
        else
            x->calls->sight(x, sight);
    }
}

static void on_sights(struct read_job *job)
{
    struct hub *hub = job->owner;
    hub->looking = false;
    for (size_t i = 0; i < job->sights_n; i++) {
        struct watch *w = find_watch(hub, job->sights[i].execution_id.text);
        if (w && strcmp(w->workspace.text, job->sights[i].workspace_id.text) == 0)
            w->sight = &job->sights[i];
    }
    for (size_t i = 0; i < job->executions_n && job->e == OK; i++) {
        struct watch *w = find_watch(hub, job->executions[i].text);
        if (w)
            tell_sight(job, w);
    }
    if (job->e != OK)
        log_debug("stream.look_failed", "runs=%zu error=%s", job->executions_n, err_name(job->e));
    look_next(hub);
}

static void add_keys(struct read_job *job, const struct watch *w)
{
    for (const struct watcher *x = w->watchers; x; x = x->next) {
        if (!x->check_key || has_id(job->keys, job->keys_n, &x->key))
            continue;
        job->keys = talloc_realloc(job, job->keys, id, job->keys_n + 1);
        job->keys[job->keys_n++] = x->key;
    }
}

static void look_next(struct hub *hub)
{
    if (hub->looking || !hub->wanted)
        return;
    struct read_job *job = read_job_new(READ_SIGHTS, hub, on_sights);
    job->executions = talloc_array(job, id, LOOK_MAX);
    while (hub->wanted && job->executions_n < LOOK_MAX) {
        struct watch *w = hub->wanted;
        hub->wanted = w->older;
        w->wanted = false;
        job->executions[job->executions_n++] = w->execution;
        add_keys(job, w);
    }
    hub->looking = true;
    reader_submit(hub->reader, job);
}

void hub_look(struct hub *hub, struct watcher *w)
{
    want_look(hub, w->watch);
    look_next(hub);
}

/* --- hearing: Redis --- */

static bool redis_is_here(const struct hub *hub)
{
    return redis_subscriber_fd(hub->redis) >= 0;
}

static void begin_all(struct watch *w)
{
    struct watcher *next;
    for (struct watcher *x = w->watchers; x; x = next) {
        next = x->next;
        if (x->told)
            continue;
        x->told = true;
        x->calls->begin(x);
    }
}

/* Without Redis nobody waits for it: MariaDB is asked every second instead. */
static void redis_lost(struct hub *hub)
{
    if (hub->readable)
        event_free(hub->readable);
    if (hub->writable)
        event_free(hub->writable);
    hub->readable = hub->writable = NULL;
    struct watch *w, *next;
    HASH_ITER(hh, hub->watches, w, next)
    {
        w->subscribed = false;
        begin_all(w);
    }
}

static void redis_send(struct hub *hub)
{
    bool wants_write = false;
    if (!hub->readable)
        return;
    if (redis_subscriber_write(hub->redis, &wants_write) != OK)
        redis_lost(hub);
    else if (wants_write)
        event_add(hub->writable, NULL);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    redis_send(arg);
}

static void subscribe(struct hub *hub, struct watch *w)
{
    void *scratch = talloc_new(NULL);
    redis_subscriber_add(hub->redis, redis_channel_events(scratch, &w->execution));
    talloc_free(scratch);
}

static void hear(struct hub *hub, struct watch *w, const struct redis_arg *message)
{
    int seq;
    enum event_type type;
    if (!event_text_read(message->bytes, message->size, &w->execution, &seq, &type)) {
        want_look(hub, w);
        return;
    }
    struct watcher *next;
    for (struct watcher *x = w->watchers; x; x = next) {
        next = x->next;
        x->calls->hear(x, seq, type, message->bytes, message->size);
    }
}

static void take_news(struct hub *hub, const struct redis_news *news)
{
    if (news->kind == REDIS_NEWS_OTHER || news->channel.size < ID_LENGTH)
        return;
    struct watch *w = find_watch(hub, news->channel.bytes + news->channel.size - ID_LENGTH);
    if (!w)
        return;
    if (news->kind == REDIS_NEWS_MESSAGE) {
        hear(hub, w, &news->message);
    } else {
        w->subscribed = true;
        if (w->watchers->told)
            want_look(hub, w); /* what was published while Redis was away */
        begin_all(w);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct hub *hub = arg;
    struct redis_news news;
    enum err e = redis_subscriber_read(hub->redis);
    while (e == OK && (e = redis_subscriber_next(hub->redis, &news)) == OK)
        take_news(hub, &news);
    if (e == ERR_BUSY)
        redis_lost(hub);
    look_next(hub);
}

static void redis_connect(struct hub *hub)
{
    if (redis_subscriber_connect(hub->redis) != OK)
        return;
    hub->doubt_until_ms = clock_boot_ms() + DOUBT_MS;
    int fd = redis_subscriber_fd(hub->redis);
    hub->readable = event_new(hub->base, fd, EV_READ | EV_PERSIST, on_readable, hub);
    hub->writable = event_new(hub->base, fd, EV_WRITE, on_writable, hub);
    event_add(hub->readable, NULL);
    struct watch *w, *next;
    HASH_ITER(hh, hub->watches, w, next)
    {
        subscribe(hub, w);
    }
    redis_send(hub);
}

/* --- watchers --- */

static int hub_destroy(struct hub *hub)
{
    HASH_CLEAR(hh, hub->watches);
    if (hub->readable)
        event_free(hub->readable);
    if (hub->writable)
        event_free(hub->writable);
    return 0;
}

struct hub *hub_new(void *ctx, struct event_base *base, struct redis_subscriber *redis, struct reader *reader)
{
    struct hub *hub = talloc_zero(ctx, struct hub);
    hub->base = base;
    hub->redis = redis;
    hub->reader = reader;
    talloc_set_destructor(hub, hub_destroy);
    redis_connect(hub);
    return hub;
}

static struct watch *get_watch(struct hub *hub, const id *execution, const id *workspace)
{
    struct watch *w = find_watch(hub, execution->text);
    if (w)
        return w;
    w = talloc_zero(hub, struct watch);
    w->execution = *execution;
    w->workspace = *workspace;
    HASH_ADD(hh, hub->watches, execution.text, ID_LENGTH, w);
    if (redis_is_here(hub)) {
        subscribe(hub, w);
        redis_send(hub);
    }
    return w;
}

void hub_watch(struct hub *hub, const id *execution, const id *workspace, struct watcher *x)
{
    struct watch *w = get_watch(hub, execution, workspace);
    x->watch = w;
    x->next = w->watchers;
    x->at = &w->watchers;
    if (x->next)
        x->next->at = &x->next;
    w->watchers = x;
    w->waiters += x->is_waiter;
    if (x->told || (!w->subscribed && redis_is_here(hub)))
        return; /* begun by redis_lost, or to begin once subscribed */
    x->told = true;
    x->calls->begin(x);
}

static void drop_watch(struct hub *hub, struct watch *w)
{
    void *scratch = talloc_new(NULL);
    redis_subscriber_remove(hub->redis, redis_channel_events(scratch, &w->execution));
    talloc_free(scratch);
    HASH_DEL(hub->watches, w);
    for (struct watch **at = &hub->wanted; *at; at = &(*at)->older) {
        if (*at == w) {
            *at = w->older;
            break;
        }
    }
    talloc_free(w);
    redis_send(hub);
}

void hub_unwatch(struct hub *hub, struct watcher *x)
{
    struct watch *w = x->watch;
    *x->at = x->next;
    if (x->next)
        x->next->at = x->at;
    w->waiters -= x->is_waiter;
    x->watch = NULL;
    if (!w->watchers)
        drop_watch(hub, w);
}

void hub_tick(struct hub *hub)
{
    if (!redis_is_here(hub))
        redis_connect(hub);
    bool in_doubt = clock_boot_ms() < hub->doubt_until_ms;
    struct watch *w, *next;
    HASH_ITER(hh, hub->watches, w, next)
    {
        if (in_doubt || w->waiters > 0 || !w->subscribed)
            want_look(hub, w);
    }
    look_next(hub);
}
