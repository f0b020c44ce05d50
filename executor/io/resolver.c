#include "executor/io/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <talloc.h>
#include <uthash.h>

#include "base/clock.h"

enum {
    /* c-ares waits as long for a server's first answer, and twice as long in the second round */
    SERVER_TIMEOUT_MS = 1500,
    SERVER_ROUNDS = 2,
    /* how often c-ares is asked what has timed out, while there are queries */
    TICK_MS = 100,
};

TAILQ_HEAD(lookup_list, resolver_lookup);
STAILQ_HEAD(ended_list, name);

/* A host name: its query, or its cached addresses. */
struct name {
    struct resolver *resolver;
    const char *host;
    struct lookup_list lookups;
    /* c-ares has not called back */
    bool querying;
    /* c-ares has called back, and the look-ups have not been told */
    bool ended;
    /* the look-ups are being told: what they do may look up other names, and must not free this one */
    bool telling;
    STAILQ_ENTRY(name) ended_link;
    char error[128];
    union resolver_address addresses[RESOLVER_ADDRESSES_MAX];
    size_t n;
    /* CLOCK_BOOTTIME; until then the addresses are used again */
    int64_t good_until_ms;
    /* what look-ups that gave up have left: freed at the end of the query */
    void *shares;
    UT_hash_handle hh;
};

struct resolver_lookup {
    struct name *name;
    resolver_done *done;
    void *arg;
    struct timer limit;
    TAILQ_ENTRY(resolver_lookup) link;
};

/* A socket of c-ares. */
struct watched_socket {
    ares_socket_t fd;
    struct event *event;
    struct watched_socket *next;
};

struct resolver {
    struct event_base *base;
    struct timers *timers;
    ares_channel channel;
    bool ready, closing;
    struct name *names;
    struct ended_list ended;
    size_t queries;
    struct watched_socket *sockets;
    /* reports results to their look-ups, and lets c-ares handle timeouts */
    struct timer tell_timer, tick_timer;
};

/* --- c-ares on libevent --- */

static void on_ares_socket(evutil_socket_t fd, short what, void *arg)
{
    struct resolver *r = arg;
    ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
}

static void drop_socket(struct watched_socket **at)
{
    struct watched_socket *one = *at;
    *at = one->next;
    event_free(one->event);
    talloc_free(one);
}

static void watch_ares_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct watched_socket **at = &r->sockets;
    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    if (*at)
        drop_socket(at);
    if (!readable && !writable)
        return;
    struct watched_socket *one = talloc_zero(r, struct watched_socket);
    one->fd = fd;
    one->next = r->sockets;
    r->sockets = one;
    short wanted = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    one->event = event_new(r->base, fd, (short)(wanted | EV_PERSIST), on_ares_socket, r);
    event_add(one->event, NULL);
}

static void on_tick(void *arg)
{
    struct resolver *r = arg;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (r->queries > 0)
        timer_set(r->timers, &r->tick_timer, clock_boot_ms() + TICK_MS);
}

/* --- the end of a query --- */

static void free_name(struct name *name)
{
    HASH_DEL(name->resolver->names, name);
    talloc_free(name);
}

static void tell_lookups(struct name *name)
{
    struct resolver_answer answer = {
        .error = name->n > 0 ? NULL : name->error, .addresses = name->addresses, .n = name->n};
    struct lookup_list lookups;
    struct resolver_lookup *one;
    TAILQ_INIT(&lookups);
    TAILQ_CONCAT(&lookups, &name->lookups, link);
    TAILQ_FOREACH(one, &lookups, link)
    {
        timer_clear(name->resolver->timers, &one->limit);
        one->name =
            NULL; /* a cancellation from within `done` of another must not touch the list of the name */
    }
    while ((one = TAILQ_FIRST(&lookups))) {
        TAILQ_REMOVE(&lookups, one, link);
        if (one->done)
            one->done(one->arg, &answer);
        talloc_free(one);
    }
}

static void on_tell(void *arg)
{
    struct resolver *r = arg;
    struct name *name;
    while ((name = STAILQ_FIRST(&r->ended))) {
        STAILQ_REMOVE_HEAD(&r->ended, ended_link);
        name->ended = false;
        name->telling = true;
        tell_lookups(name);
        name->telling = false;
        if (name->n == 0 && !name->querying && !name->ended && TAILQ_EMPTY(&name->lookups))
            free_name(name);
    }
}

/* The loop reports results later: c-ares calls back inside the request for a name of /etc/hosts. */
static void tell_later(struct name *name)
{
    struct resolver *r = name->resolver;
    if (name->ended)
        return;
    name->ended = true;
    STAILQ_INSERT_TAIL(&r->ended, name, ended_link);
    timer_set(r->timers, &r->tell_timer, clock_boot_ms());
}

static void copy_addresses(struct name *name, const struct ares_addrinfo *found)
{
    for (const struct ares_addrinfo_node *node = found->nodes; node && name->n < RESOLVER_ADDRESSES_MAX;
         node = node->ai_next) {
        union resolver_address *to = &name->addresses[name->n];
        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        memcpy(to, node->ai_addr, node->ai_family == AF_INET ? sizeof to->v4 : sizeof to->v6);
        name->n++;
    }
}

static void on_ares_answer(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct name *name = arg;
    struct resolver *r = name->resolver;
    if (r->closing)
        return;
    name->querying = false;
    r->queries--;
    name->n = 0;
    if (status == ARES_SUCCESS && found)
        copy_addresses(name, found);
    snprintf(name->error, sizeof name->error, "the host name could not be resolved: %s",
             status == ARES_SUCCESS ? "no address" : ares_strerror(status));
    name->good_until_ms = clock_boot_ms() + RESOLVER_CACHE_MS;
    if (found)
        ares_freeaddrinfo(found);
    TALLOC_FREE(name->shares);
    tell_later(name);
}

/* --- look-ups --- */

static void on_lookup_limit(void *arg)
{
    struct resolver_lookup *lookup = arg;
    struct resolver_answer answer = {.error = "the host name could not be resolved within 5 s"};
    TAILQ_REMOVE(&lookup->name->lookups, lookup, link);
    lookup->name = NULL;
    lookup->done(lookup->arg, &answer);
    talloc_free(lookup);
}

static void drop_cached_names(struct resolver *r)
{
    struct name *name;
    struct name *next;
    HASH_ITER(hh, r->names, name, next)
    {
        if (!name->querying && !name->ended && !name->telling)
            free_name(name);
    }
}

static struct name *name_new(struct resolver *r, const char *host)
{
    if (HASH_COUNT(r->names) - r->queries >= RESOLVER_CACHE_MAX)
        drop_cached_names(r);
    struct name *name = talloc_zero(r, struct name);
    name->resolver = r;
    name->host = talloc_strdup(name, host);
    TAILQ_INIT(&name->lookups);
    HASH_ADD_KEYPTR(hh, r->names, name->host, strlen(name->host), name);
    return name;
}

static void start_query(struct name *name)
{
    struct resolver *r = name->resolver;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    name->querying = true;
    r->queries++;
    if (!timer_is_set(&r->tick_timer))
        timer_set(r->timers, &r->tick_timer, clock_boot_ms() + TICK_MS);
    ares_getaddrinfo(r->channel, name->host, NULL, &hints, on_ares_answer, name);
}

struct resolver_lookup *resolver_look_up(struct resolver *r, const char *host, resolver_done *done, void *arg)
{
    struct name *name;
    HASH_FIND_STR(r->names, host, name);
    if (!name)
        name = name_new(r, host);
    struct resolver_lookup *lookup = talloc_zero(r, struct resolver_lookup);
    *lookup = (struct resolver_lookup){.name = name, .done = done, .arg = arg};
    lookup->limit = (struct timer){.fire = on_lookup_limit, .arg = lookup};
    TAILQ_INSERT_TAIL(&name->lookups, lookup, link);
    timer_set(r->timers, &lookup->limit, clock_boot_ms() + RESOLVER_TIMEOUT_MS);
    if (name->querying || name->ended)
        return lookup;
    if (name->n > 0 && clock_boot_ms() < name->good_until_ms)
        tell_later(name);
    else
        start_query(name);
    return lookup;
}

void resolver_cancel(struct resolver_lookup *lookup, void *share)
{
    struct name *name = lookup->name;
    if (!name) { /* tell_lookups is about to free it */
        lookup->done = NULL;
        talloc_free(share);
        return;
    }
    timer_clear(name->resolver->timers, &lookup->limit);
    TAILQ_REMOVE(&name->lookups, lookup, link);
    talloc_free(lookup);
    if (!name->querying || !TAILQ_EMPTY(&name->lookups)) {
        talloc_free(share);
        return;
    }
    if (!name->shares)
        name->shares = talloc_new(name);
    talloc_steal(name->shares, share);
}

size_t resolver_queries(const struct resolver *r)
{
    return r->queries;
}

/* --- beginning and end --- */

static int resolver_destroy(struct resolver *r)
{
    r->closing = true;
    timer_clear(r->timers, &r->tell_timer);
    timer_clear(r->timers, &r->tick_timer);
    for (struct name *name = r->names; name; name = name->hh.next) {
        struct resolver_lookup *one;
        TAILQ_FOREACH(one, &name->lookups, link)
        {
            timer_clear(r->timers, &one->limit);
        }
    }
    if (r->ready) {
        ares_destroy(r->channel);
        ares_library_cleanup();
    }
    while (r->sockets)
        drop_socket(&r->sockets);
    HASH_CLEAR(hh, r->names);
    return 0;
}

static int set_up_channel(struct resolver *r, const char *servers)
{
    char lookups[] = "fb"; /* files, then name servers */
    struct ares_options options = {.timeout = SERVER_TIMEOUT_MS,
                                   .tries = SERVER_ROUNDS,
                                   .lookups = lookups,
                                   .sock_state_cb = watch_ares_socket,
                                   .sock_state_cb_data = r};
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS)
        return status;
    status =
        ares_init_options(&r->channel, &options,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    r->ready = status == ARES_SUCCESS;
    if (r->ready && *servers)
        status = ares_set_servers_ports_csv(r->channel, servers);
    return status;
}

struct resolver *resolver_new(void *ctx, struct event_base *base, struct timers *timers, const char *servers,
                              const char **why_r)
{
    struct resolver *r = talloc_zero(ctx, struct resolver);
    r->base = base;
    r->timers = timers;
    STAILQ_INIT(&r->ended);
    r->tell_timer = (struct timer){.fire = on_tell, .arg = r};
    r->tick_timer = (struct timer){.fire = on_tick, .arg = r};
    talloc_set_destructor(r, resolver_destroy);
    int status = set_up_channel(r, servers);
    if (status == ARES_SUCCESS)
        return r;
    *why_r = ares_strerror(status);
    talloc_free(r);
    return NULL;
}
