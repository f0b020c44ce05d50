#include "executor/io/http_queue.h"

#include <string.h>
#include <sys/queue.h>
#include <talloc.h>
#include <uthash.h>

/* A destination host, while a place names it. */
struct host {
    const char *name;
    size_t granted;
    size_t places;
    UT_hash_handle hh;
};

TAILQ_HEAD(place_list, http_place);

/* The requests of one workspace that wait for one host. */
struct lane {
    struct host *host;
    struct place_list places;
    TAILQ_ENTRY(lane) link;
};

TAILQ_HEAD(lane_list, lane);

/* A workspace, while it has a place. */
struct workspace {
    id id;
    size_t granted;
    size_t places;
    /* with at least one place each, in turn */
    struct lane_list lanes;
    /* in http_queue.waiting */
    bool listed;
    TAILQ_ENTRY(workspace) link;
    UT_hash_handle hh;
};

TAILQ_HEAD(workspace_list, workspace);

struct http_queue {
    struct http_queue_limits limits;
    void (*on_free)(void *arg);
    void *arg;
    struct host *hosts;
    struct workspace *workspaces;
    /* those with lanes, in turn */
    struct workspace_list waiting;
    size_t granted_n, waiting_n;
};

struct http_place {
    struct http_queue *queue;
    struct workspace *workspace;
    struct host *host;
    /* NULL: granted */
    struct lane *lane;
    void (*start)(void *arg);
    void *arg;
    TAILQ_ENTRY(http_place) link;
};

/* --- the tables --- */

static struct host *find_host(struct http_queue *q, const char *name)
{
    struct host *host;
    HASH_FIND_STR(q->hosts, name, host);
    if (!host) {
        host = talloc_zero(q, struct host);
        host->name = talloc_strdup(host, name);
        HASH_ADD_KEYPTR(hh, q->hosts, host->name, strlen(host->name), host);
    }
    host->places++;
    return host;
}

static struct workspace *find_workspace(struct http_queue *q, const id *wanted)
{
    struct workspace *w;
    HASH_FIND(hh, q->workspaces, wanted->text, ID_LENGTH, w);
    if (!w) {
        w = talloc_zero(q, struct workspace);
        w->id = *wanted;
        TAILQ_INIT(&w->lanes);
        HASH_ADD(hh, q->workspaces, id.text, ID_LENGTH, w);
    }
    w->places++;
    return w;
}

static void leave_host(struct http_queue *q, struct host *host)
{
    if (--host->places > 0)
        return;
    HASH_DEL(q->hosts, host);
    talloc_free(host);
}

static void leave_workspace(struct http_queue *q, struct workspace *w)
{
    if (--w->places > 0)
        return;
    HASH_DEL(q->workspaces, w);
    talloc_free(w);
}

/* --- waiting --- */

static struct lane *find_lane(struct workspace *w, struct host *host)
{
    struct lane *lane;
    TAILQ_FOREACH(lane, &w->lanes, link)
    {
        if (lane->host == host)
            return lane;
    }
    lane = talloc_zero(w, struct lane);
    lane->host = host;
    TAILQ_INIT(&lane->places);
    TAILQ_INSERT_TAIL(&w->lanes, lane, link);
    return lane;
}

static void start_waiting(struct http_place *p)
{
    struct http_queue *q = p->queue;
    struct workspace *w = p->workspace;
    p->lane = find_lane(w, p->host);
    TAILQ_INSERT_TAIL(&p->lane->places, p, link);
    q->waiting_n++;
    if (!w->listed)
        TAILQ_INSERT_TAIL(&q->waiting, w, link);
    w->listed = true;
}

static void stop_waiting(struct http_place *p)
{
    struct http_queue *q = p->queue;
    struct workspace *w = p->workspace;
    struct lane *lane = p->lane;
    TAILQ_REMOVE(&lane->places, p, link);
    p->lane = NULL;
    q->waiting_n--;
    if (!TAILQ_EMPTY(&lane->places))
        return;
    TAILQ_REMOVE(&w->lanes, lane, link);
    talloc_free(lane);
    if (!TAILQ_EMPTY(&w->lanes))
        return;
    TAILQ_REMOVE(&q->waiting, w, link);
    w->listed = false;
}

/* --- granting --- */

static bool workspace_may_take(const struct http_queue *q, const struct workspace *w)
{
    size_t least = share_minimum(&q->limits.workspace_guaranteed, &w->id, q->limits.workspace_min);
    return share_may_take(q->limits.total, q->granted_n, w->granted, least) &&
           share_is_below(&q->limits.workspace_max, &w->id, w->granted);
}

/* The first request of the workspace whose host is below its limit; its lane becomes the last in turn. */
static struct http_place *next_of(const struct http_queue *q, struct workspace *w)
{
    struct lane *lane;
    TAILQ_FOREACH(lane, &w->lanes, link)
    {
        if (lane->host->granted >= q->limits.per_host)
            continue;
        TAILQ_REMOVE(&w->lanes, lane, link);
        TAILQ_INSERT_TAIL(&w->lanes, lane, link);
        return TAILQ_FIRST(&lane->places);
    }
    return NULL;
}

/* The next request in turn that the limits allow; NULL: none. */
static struct http_place *next_grantable(struct http_queue *q)
{
    struct workspace *w;
    TAILQ_FOREACH(w, &q->waiting, link)
    {
        struct http_place *p = workspace_may_take(q, w) ? next_of(q, w) : NULL;
        if (!p)
            continue;
        TAILQ_REMOVE(&q->waiting, w, link);
        TAILQ_INSERT_TAIL(&q->waiting, w, link);
        return p;
    }
    return NULL;
}

void http_queue_serve(struct http_queue *q)
{
    struct http_place *p;
    while (q->granted_n < q->limits.total && (p = next_grantable(q))) {
        stop_waiting(p);
        p->workspace->granted++;
        p->host->granted++;
        q->granted_n++;
        p->start(p->arg);
    }
}

/* --- places --- */

static int place_destroy(struct http_place *p)
{
    struct http_queue *q = p->queue;
    if (p->lane) {
        stop_waiting(p);
    } else {
        p->workspace->granted--;
        p->host->granted--;
        q->granted_n--;
        if (q->waiting_n > 0)
            q->on_free(q->arg);
    }
    leave_host(q, p->host);
    leave_workspace(q, p->workspace);
    return 0;
}

struct http_place *http_place_new(void *ctx, struct http_queue *q, const id *workspace, const char *host,
                                  void (*start)(void *arg), void *arg)
{
    struct http_place *p = talloc_zero(ctx, struct http_place);
    *p = (struct http_place){.queue = q,
                             .workspace = find_workspace(q, workspace),
                             .host = find_host(q, host),
                             .start = start,
                             .arg = arg};
    talloc_set_destructor(p, place_destroy);
    start_waiting(p);
    return p;
}

static int queue_destroy(struct http_queue *q)
{
    HASH_CLEAR(hh, q->hosts);
    HASH_CLEAR(hh, q->workspaces);
    return 0;
}

struct http_queue *http_queue_new(void *ctx, const struct http_queue_limits *limits,
                                  void (*on_free)(void *arg), void *arg)
{
    struct http_queue *q = talloc_zero(ctx, struct http_queue);
    *q = (struct http_queue){.limits = *limits, .on_free = on_free, .arg = arg};
    TAILQ_INIT(&q->waiting);
    talloc_set_destructor(q, queue_destroy);
    return q;
}

size_t http_queue_granted_to(const struct http_queue *q, const id *workspace)
{
    const struct workspace *w;
    HASH_FIND(hh, q->workspaces, workspace->text, ID_LENGTH, w);
    return w ? w->granted : 0;
}

size_t http_queue_granted(const struct http_queue *q)
{
    return q->granted_n;
}

size_t http_queue_waiting(const struct http_queue *q)
{
    return q->waiting_n;
}
