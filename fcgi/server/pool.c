#include "fcgi/server/pool.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sched.h"
#include "base/tally.h"
#include "blob/blob.h"
#include "fcgi/cache/name_cache.h"
#include "fcgi/cache/skill_cache.h"
#include "fcgi/cache/workflow_cache.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/server/pool_state.h"
#include "fcgi/server/routes.h"
#include "fcgi/server/worker.h"
#include "otlp/otlp.h"
#include "redis/keys.h"
#include "run/run_counts.h"
#include "secret/seal.h"
#include "service/reexec.h"
#include "service/supervisor.h"
#include "service/unix_listener.h"
#include "store/share_limits.h"

enum { EARLY_EXIT_MS = 1000, RESPAWN_DELAY_MAX_MS = 10000, SOCKET_MODE = 0660 };

/* The supervisor's groups. An upload occupies a worker for as long as its body takes, so uploads have a
 * socket and workers of their own. */
enum { REQUESTS, UPLOADS, KINDS };
_Static_assert((int)WORKER_SLOTS <= (int)SUPERVISOR_SLOTS_MAX, "a slot for each worker");
_Static_assert((int)WORKER_SLOTS <= (int)UPLOAD_SHARE_SLOTS, "a slot for each worker");
_Static_assert((int)WORKER_SLOTS <= (int)SLOW_SHARE_SLOTS, "a slot for each worker");

struct pool {
    const char *config_path;
    struct config *config;
    struct fcgi_shared *shared;
    struct supervisor *supervisor;
    struct state_dump *state_dump;
    struct unix_listener listeners[KINDS]; /* all zero: this kind is not configured */
};

/* --- a worker process --- */

static const uint8_t *load_webhook_key(void *ctx, const struct config *c)
{
    uint8_t *key = talloc_array(ctx, uint8_t, SECRET_KEY_SIZE);
    const char *why, *path = c->webhooks.key_file;
    if (!*path)
        return NULL;
    if (secrets_load_key(path, key, &why) == OK)
        return key;
    log_warn("webhook.key_load_failed", "file=%s message=\"%s\"", path, why);
    return NULL;
}

static struct app *make_app(void *ctx, struct pool *p, int kind, int slot)
{
    const struct config *c = p->config;
    const char *password = config_password(ctx, c->api.db_password_file);
    if (!password)
        return NULL;
    struct app *app = talloc_zero(ctx, struct app);
    app->route_names = route_names(&app->routes_n);
    struct db_settings db = {.socket = c->database.socket,
                             .name = c->database.name,
                             .user = c->api.db_user,
                             .password = password,
                             .timeout_s = (unsigned)c->database.timeout_s,
                             .settle_s = (unsigned)c->database.settle_s};
    redis_keys_set_prefix(c->redis.prefix);
    app->config = c;
    app->shared = p->shared;
    app->admission = kind == REQUESTS ? &p->shared->admission : NULL;
    app->slot = slot;
    /* a predecessor may have died */
    upload_share_end(&p->shared->uploads, slot);
    slow_share_end(&p->shared->slow, slot);
    tally_share(&p->shared->tally, TALLY_API);
    app->db = db_new(app, &db);
    app->redis = redis_new(app, c->redis.socket);
    app->workflows = workflow_cache_new(app);
    app->names = name_cache_new(app);
    app->share_limits = share_limits_new(app, app->config);
    app->skills = skill_cache_new(app);
    app->blobs = blob_store_open(app, c, &p->shared->metrics.objects);
    app->webhook_key = load_webhook_key(app, c);
    app->otlp = otlp_new(NULL, c, "millrace-api", &p->shared->metrics.spans);
    accept_share_balance_cache(&p->shared->seen_balances);
    if (slot < ACCEPT_GROUP_WORKERS_MAX)
        app->accepts = accept_group_attach(app, p->shared->accept_group, (unsigned)slot, app->db, app->redis);
    return app;
}

static int run_worker(void *arg, int kind, int slot)
{
    struct pool *p = arg;
    void *ctx = talloc_new(NULL);
    if (kind == UPLOADS)
        sched_run_behind(); /* an upload may take seconds, an accept may not */
    struct worker *w = worker_new(ctx, p->listeners[kind].fd);
    if (w && unix_listener_is_kept(&p->listeners[kind]))
        worker_leave_backlog(w);
    struct app *app = w ? make_app(ctx, p, kind, slot) : NULL;
    if (app) {
        /* the limit differs by slot, so that the workers are not all replaced at the same time */
        int64_t recycle = p->config->api.recycle_requests;
        worker_run(w, app, recycle ? recycle + recycle * slot / WORKER_SLOTS : 0);
        run_counts_flush(app->db);
        otlp_stop(app->otlp);
    }
    talloc_free(ctx);
    return app ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- the master --- */

static bool worker_exit_is_failure(void *arg, const struct supervisor_exit *exit)
{
    struct pool *p = arg;
    slow_share_end(&p->shared->slow, exit->slot);
    bool failed = !WIFEXITED(exit->status) || WEXITSTATUS(exit->status) != EXIT_SUCCESS;
    if (failed)
        atomic_fetch_add(&p->shared->metrics.respawns, 1);
    return failed;
}

static bool log_worker_death(void *arg, const char *event, const struct supervisor_exit *exit,
                             int64_t respawn_ms)
{
    const struct pool *p = arg;
    struct current_request *current = &p->shared->current[exit->slot];
    if (!atomic_exchange(&current->set, false))
        return false;
    log_error(event, SUPERVISOR_EXIT_FORMAT " request=%s method=%s path=%s",
              SUPERVISOR_EXIT_ARGS(exit, respawn_ms), current->id, current->method, current->path);
    return true;
}

static void pool_on_count(void *arg, int running)
{
    struct pool *p = arg;
    atomic_store(&p->shared->metrics.workers, running);
}

static void pool_on_stop(void *arg)
{
    struct pool *p = arg;
    for (int kind = 0; kind < KINDS; kind++)
        unix_listener_unlink(&p->listeners[kind]);
}

static void apply_config(struct pool *p)
{
    const struct config *c = p->config;
    supervisor_set_wanted(p->supervisor, REQUESTS, (int)c->api.workers);
    supervisor_set_wanted(p->supervisor, UPLOADS,
                          p->listeners[UPLOADS].path ? (int)c->api.uploads_workers : 0);
    supervisor_set_grace(p->supervisor, c->api.grace_s * 1000);
}

/* Replaces the program if another one stands at its path. The workers of this program answer until those of
 * the next one are there, and all take connections from the same sockets, so that none waits for the change.
 * False: this program goes on, and *refused_r says that the other one cannot run. */
static void replace_program(struct pool *p, bool *refused_r)
{
    *refused_r = false;
    if (!reexec_is_due())
        return;
    *refused_r = !reexec_is_ready(p->config_path);
    if (*refused_r || !unix_listener_pass(p->listeners, KINDS))
        return;
    if (supervisor_pass_children(p->supervisor))
        reexec_run(p->config_path);
    unix_listener_unpass();
}

static void pool_on_reload(void *arg)
{
    struct pool *p = arg;
    struct config *config;
    const char *why;
    bool refused;
    replace_program(p, &refused);
    if (refused)
        return;
    if (config_load(p, p->config_path, &config, &why) != OK) {
        log_error("pool.reload_failed", "message=\"%s\"", why);
        talloc_free(config);
        return;
    }
    p->config = config; /* the old one is not freed: the listeners' paths are its strings */
    apply_config(p);
    log_info("pool.reloaded", "workers=%d", (int)config->api.workers);
    supervisor_replace_children(p->supervisor, SIGQUIT);
}

static void pool_on_state_dump(void *arg)
{
    const struct pool *p = arg;
    state_dump_write(p->state_dump);
}

static const struct supervisor_callbacks pool_callbacks = {.run_child = run_worker,
                                                           .is_failure = worker_exit_is_failure,
                                                           .log_death = log_worker_death,
                                                           .on_reload = pool_on_reload,
                                                           .on_stop = pool_on_stop,
                                                           .on_state_dump = pool_on_state_dump,
                                                           .on_count = pool_on_count};

static bool open_listeners(struct pool *p)
{
    const struct config *c = p->config;
    if (!unix_listener_open(&p->listeners[REQUESTS], c->api.socket, SOCKET_MODE, WORKER_BACKLOG))
        return false;
    return !*c->api.uploads_socket ||
           unix_listener_open(&p->listeners[UPLOADS], c->api.uploads_socket, SOCKET_MODE, WORKER_BACKLOG);
}

int pool_run(void *ctx, const char *path, struct config *config)
{
    struct supervisor_settings settings = {
        .child_name = "worker", .early_exit_ms = EARLY_EXIT_MS, .delay_max_ms = RESPAWN_DELAY_MAX_MS};
    struct pool *p = talloc_zero(ctx, struct pool);
    p->config_path = path;
    p->config = config;
    p->supervisor = supervisor_new(p, &settings, &pool_callbacks, p);
    supervisor_adopt_children(p->supervisor, SIGQUIT);
    p->shared = fcgi_shared_new(sizeof(struct auth_cached_key), sizeof(struct workflow_cached_version));
    if (!p->shared || !open_listeners(p))
        return EXIT_FAILURE;
    /* in the order of REQUESTS, UPLOADS; upload workers accept no runs, so the low slots, which belong to the
     * accept group, are left to the others */
    supervisor_add_group(p->supervisor, 0, WORKER_SLOTS, 0);
    supervisor_add_group(p->supervisor, WORKER_SLOTS / 2, WORKER_SLOTS, 0);
    apply_config(p);
    p->state_dump = state_dump_new(p);
    state_dump_add(p->state_dump, supervisor_log_state, p->supervisor);
    pool_state_add(p->state_dump, p->shared);
    log_info("pool.started", "socket=%s workers=%d", config->api.socket, (int)config->api.workers);
    supervisor_run(p->supervisor);
    log_info("pool.stopped", "pid=%d", (int)getpid());
    return EXIT_SUCCESS;
}
