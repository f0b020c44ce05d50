#include "fcgi/server/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "blob/blob.h"
#include "fcgi/cache/name_cache.h"
#include "fcgi/cache/skill_cache.h"
#include "fcgi/cache/workflow_cache.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/server/routes.h"
#include "fcgi/server/worker.h"
#include "redis/keys.h"

enum {
    EARLY_EXIT_MS = 1000,
    RESPAWN_DELAY_FIRST_MS = 100,
    RESPAWN_DELAY_MAX_MS = 10000,
    UPLOADS_NICE = 10, /* who waits for a 202 goes before megabytes that have seconds */
    IDLE_TIMEOUT_MS = 60000
};

enum { REQUESTS, UPLOADS, KINDS };

/* A socket and the workers behind it: uploads keep a process for as long as the body takes, so they have
 * their own. */
struct worker_kind {
    const char *path;
    int fd;
    dev_t dev;
    ino_t ino;
    int64_t workers;
};

struct pool_child {
    pid_t pid; /* 0: the slot is free */
    int kind;
    int generation;
    int64_t started_ms;
};

struct pool {
    const char *path;
    struct config *config;
    struct fcgi_shared *shared;
    struct worker_kind kinds[KINDS];
    struct pool_child children[WORKER_SLOTS];
    int generation; /* grows with each reload */
    int64_t delay_ms, spawn_at_ms;
    int64_t stop_at_ms; /* 0: not stopping; else when patience ends */
};

/* --- sockets --- */

static bool bind_temporary(const char *temporary, int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(temporary) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, temporary, strlen(temporary) + 1);
    unlink(temporary);
    return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && chmod(temporary, 0660) == 0 &&
           listen(fd, WORKER_BACKLOG) == 0;
}

static bool open_listener(struct worker_kind *k)
{
    char *temporary = talloc_asprintf(NULL, "%s.%d", k->path, (int)getpid());
    struct stat s;
    k->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = k->fd >= 0 && bind_temporary(temporary, k->fd) && stat(temporary, &s) == 0 &&
              rename(temporary, k->path) == 0;
    if (!ok) {
        log_error("pool.no_socket", "path=%s message=\"%s\"", k->path, strerror(errno));
    } else {
        k->dev = s.st_dev;
        k->ino = s.st_ino;
    }
    talloc_free(temporary);
    return ok;
}

/* Nobody new comes; unless a successor's socket stands there already. */
static void unlink_socket(const struct worker_kind *k)
{
    struct stat s;
    if (k->path && stat(k->path, &s) == 0 && s.st_dev == k->dev && s.st_ino == k->ino)
        unlink(k->path);
}

/* --- children --- */

static struct app *make_app(void *ctx, struct pool *p, int slot)
{
    const struct config *c = p->config;
    const char *password = config_password(ctx, c->api.db_password_file);
    if (!password)
        return NULL;
    struct app *app = talloc_zero(ctx, struct app);
    app->route_names = route_names(&app->routes_n);
    struct db_settings db = {
        .socket = c->database.socket, .name = c->database.name, .user = c->api.db_user, .password = password};
    redis_keys_set_prefix(c->redis.prefix);
    app->config = c;
    app->shared = p->shared;
    app->admission = p->children[slot].kind == REQUESTS ? &p->shared->admission : NULL;
    app->slot = slot;
    app->db = db_new(app, &db);
    app->redis = redis_new(app, c->redis.socket);
    app->workflows = workflow_cache_new(app);
    app->names = name_cache_new(app);
    app->skills = skill_cache_new(app);
    app->blobs = blob_store_open(app, c->files.dir);
    accept_share_balance_cache(&p->shared->seen_balances);
    if (slot < ACCEPT_GROUP_WORKERS_MAX)
        app->accepts = accept_group_attach(app, p->shared->accept_group, (unsigned)slot, app->db, app->redis);
    return app;
}

static _Noreturn void child_main(struct pool *p, int slot, pid_t master)
{
    void *ctx = talloc_new(NULL);
    struct pool_child *me = &p->children[slot];
    /* Never longer than the master, but not in the middle of a request. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (me->kind == UPLOADS)
        setpriority(PRIO_PROCESS, 0, UPLOADS_NICE);
    struct worker *w = worker_new(ctx, p->kinds[me->kind].fd);
    struct app *app = w ? make_app(ctx, p, slot) : NULL;
    if (!app)
        exit(1);
    if (getppid() != master)
        exit(0);
    /* not all of them at the same request */
    int64_t recycle = p->config->api.recycle_requests;
    worker_run(w, app, recycle ? recycle + recycle * slot / WORKER_SLOTS : 0);
    talloc_free(ctx);
    exit(0);
}

static bool spawn_worker(struct pool *p, int kind)
{
    int slot = kind == REQUESTS
                   ? 0
                   : WORKER_SLOTS / 2; /* uploads accept no runs: the first slots are not for them */
    while (slot < WORKER_SLOTS && p->children[slot].pid)
        slot++;
    if (slot == WORKER_SLOTS)
        return false;
    p->children[slot] =
        (struct pool_child){.kind = kind, .generation = p->generation, .started_ms = clock_boot_ms()};
    pid_t master = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_main(p, slot, master);
    p->children[slot].pid = pid > 0 ? pid : 0;
    if (pid < 0)
        log_error("pool.no_fork", "message=\"%s\"", strerror(errno));
    return pid > 0;
}

static int64_t count_workers(const struct pool *p, int kind)
{
    int64_t n = 0;
    for (int i = 0; i < WORKER_SLOTS; i++) {
        const struct pool_child *c = &p->children[i];
        n += c->pid && c->generation == p->generation && (kind < 0 || c->kind == kind);
    }
    return n;
}

/* Brings each kind to its number of workers, unless children died too early a moment ago. */
static void spawn_missing(struct pool *p)
{
    if (p->stop_at_ms || clock_boot_ms() < p->spawn_at_ms)
        return;
    for (int kind = 0; kind < KINDS; kind++) {
        for (int64_t n = count_workers(p, kind); n < p->kinds[kind].workers && spawn_worker(p, kind);)
            n++;
    }
    atomic_store(&p->shared->metrics.workers, (int)count_workers(p, -1));
}

static void signal_workers(const struct pool *p, int signal, bool all)
{
    for (int i = 0; i < WORKER_SLOTS; i++) {
        if (p->children[i].pid && (all || p->children[i].generation != p->generation))
            kill(p->children[i].pid, signal);
    }
}

static void on_child_exit(struct pool *p, pid_t pid, int status)
{
    struct pool_child *c = p->children;
    while (c < p->children + WORKER_SLOTS && c->pid != pid)
        c++;
    if (c == p->children + WORKER_SLOTS)
        return;
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int64_t now_ms = clock_boot_ms();
    if (!clean) {
        atomic_fetch_add(&p->shared->metrics.respawns, 1);
        log_error("worker.died", "pid=%d status=%d signal=%d", (int)pid,
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    bool early = now_ms - c->started_ms < EARLY_EXIT_MS;
    if (!clean && early && now_ms >= p->spawn_at_ms) { /* those that die together are one failure */
        p->delay_ms = p->delay_ms == 0 ? RESPAWN_DELAY_FIRST_MS : p->delay_ms * 2;
        p->delay_ms = p->delay_ms > RESPAWN_DELAY_MAX_MS ? RESPAWN_DELAY_MAX_MS : p->delay_ms;
        p->spawn_at_ms = now_ms + p->delay_ms;
    } else if (!early) {
        p->delay_ms = 0;
    }
    c->pid = 0;
}

static void reap_children(struct pool *p)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_child_exit(p, pid, status);
}

/* --- signals --- */

static void begin_stop(struct pool *p)
{
    if (p->stop_at_ms)
        return;
    log_info("pool.stopping", "workers=%d", (int)count_workers(p, -1));
    for (int kind = 0; kind < KINDS; kind++)
        unlink_socket(&p->kinds[kind]);
    p->stop_at_ms = clock_boot_ms() + p->config->api.grace_s * 1000;
    signal_workers(p, SIGTERM, true);
}

static void apply_worker_counts(struct pool *p)
{
    p->kinds[REQUESTS].workers = p->config->api.workers;
    p->kinds[UPLOADS].workers = p->kinds[UPLOADS].path ? p->config->api.uploads_workers : 0;
}

static void reload(struct pool *p)
{
    struct config *config;
    const char *why;
    if (config_load(p, p->path, &config, &why) != OK) {
        log_error("pool.not_reloaded", "message=\"%s\"", why);
        talloc_free(config);
        return;
    }
    p->config = config; /* the old one is small, and its texts may still be in use: it stays */
    p->generation++;
    p->spawn_at_ms = p->delay_ms = 0;
    apply_worker_counts(p);
    log_info("pool.reloaded", "workers=%d", (int)config->api.workers);
    spawn_missing(p);
    signal_workers(p, SIGQUIT, false);
}

static void pool_on_signal(struct pool *p, int signal)
{
    switch (signal) {
    case SIGTERM:
    case SIGINT:
        begin_stop(p);
        break;
    case SIGHUP:
        if (!p->stop_at_ms)
            reload(p);
        break;
    case SIGUSR1:
        log_reopen();
        signal_workers(p, SIGUSR1, true);
        break;
    default: /* SIGCHLD */
        break;
    }
}

static sigset_t block_signals(void)
{
    sigset_t mask;
    sigemptyset(&mask);
    const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&mask, signals[i]);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return mask;
}

/* How long nothing is to be done unless a signal comes. */
static int64_t signal_timeout_ms(const struct pool *p)
{
    int64_t now_ms = clock_boot_ms();
    int64_t until_ms = p->stop_at_ms ? p->stop_at_ms : p->spawn_at_ms;
    return until_ms > now_ms ? until_ms - now_ms : p->stop_at_ms ? 0 : IDLE_TIMEOUT_MS;
}

static bool any_child_left(const struct pool *p)
{
    for (int i = 0; i < WORKER_SLOTS; i++) {
        if (p->children[i].pid)
            return true;
    }
    return false;
}

static void pool_loop(struct pool *p, const sigset_t *mask)
{
    while (!p->stop_at_ms || any_child_left(p)) {
        int64_t ms = signal_timeout_ms(p);
        struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        int signal = sigtimedwait(mask, NULL, &timeout);
        if (signal > 0)
            pool_on_signal(p, signal);
        if (p->stop_at_ms && clock_boot_ms() >= p->stop_at_ms) {
            log_warn("pool.killed_workers", "grace_s=%lld", (long long)p->config->api.grace_s);
            signal_workers(p, SIGKILL, true);
            p->stop_at_ms = clock_boot_ms() + EARLY_EXIT_MS;
        }
        reap_children(p);
        spawn_missing(p);
    }
}

int pool_run(void *ctx, const char *path, struct config *config)
{
    struct pool *p = talloc_zero(ctx, struct pool);
    p->path = path;
    p->config = config;
    p->kinds[REQUESTS].path = config->api.socket;
    p->kinds[UPLOADS].path = *config->api.uploads_socket ? config->api.uploads_socket : NULL;
    apply_worker_counts(p);
    sigset_t mask = block_signals();
    p->shared = fcgi_shared_new(sizeof(struct auth_cached_key), sizeof(struct workflow_cached_version));
    if (!p->shared)
        return 1;
    for (int kind = 0; kind < KINDS; kind++) {
        if (p->kinds[kind].path && !open_listener(&p->kinds[kind]))
            return 1;
    }
    log_info("pool.started", "socket=%s workers=%d", config->api.socket, (int)config->api.workers);
    spawn_missing(p);
    pool_loop(p, &mask);
    log_info("pool.stopped", "pid=%d", (int)getpid());
    return 0;
}
