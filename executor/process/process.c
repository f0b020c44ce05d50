#include "executor/process/process.h"

#include <curl/curl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "blob/blob.h"
#include "executor/db_thread/commit.h"
#include "executor/io/disk_thread.h"
#include "executor/io/http_client.h"
#include "executor/io/runner_process.h"
#include "executor/io/spawn_limiter.h"
#include "executor/lease/claimer.h"
#include "executor/lease/lease.h"
#include "executor/lease/maintenance_timer.h"
#include "executor/lease/notifications.h"
#include "executor/run/active_run.h"
#include "executor/run/child_watch.h"
#include "executor/run/model/model_run.h"
#include "executor/run/skill/skill_run.h"
#include "executor/run/workflow/interpreter.h"
#include "redis/keys.h"
#include "secret/secrets.h"

enum { SIGNALS = 4, AFTER_GRACE_MS = 1000, CLAIMING_MS = 50 };

struct process {
    struct executor x; /* first: callbacks of its modules come with it */
    struct claims *claims;
    struct upkeep *upkeep;
    struct sweep *sweep;
    struct hints *hints;
    struct event *signals[SIGNALS];
    struct timer grace;
    uint8_t key[SECRET_KEY_SIZE];
    bool leaving;
    int status;
};

static void end_loop(struct executor *x)
{
    event_base_loopbreak(x->base);
}

/* Ends once nothing is left that this process has to see to. */
static void on_changed(struct executor *x)
{
    struct process *p = (struct process *)x;
    if (!x->stopping || x->fenced || p->leaving || id_table_count(x->flows) > 0 || x->runners > 0)
        return;
    p->leaving = true;
    liveness_leave(x->liveness, end_loop);
}

/* Rows are locked meanwhile: those that do not have their turn in time have it when their claim is written.
 */
static void on_claiming(void *arg, struct claimed *runs, size_t n)
{
    struct executor *x = arg;
    int64_t until_ms = clock_boot_ms() + CLAIMING_MS;
    for (size_t i = 0; i < n && !x->fenced && clock_boot_ms() <= until_ms; i++)
        flow_begin_claim(x, &runs[i]);
    crash_point("claim.before_commit");
}

static void on_claimed(void *arg, struct claimed *runs, size_t n, enum err e)
{
    struct executor *x = arg;
    if (e == OK)
        crash_point("claim.after_commit");
    else
        log_warn("claim.failed", "runs=%zu error=%s", n, err_name(e));
    for (size_t i = 0; i < n; i++)
        flow_end_claim(x, &runs[i], e);
}

/* --- the lease --- */

static void on_registered(struct executor *x)
{
    struct process *p = (struct process *)x;
    if (x->stopping)
        return;
    p->claims = claims_start(p, x);
    p->upkeep = upkeep_start(p, x);
    if (x->index == 0)
        p->sweep = sweep_start(p, x);
    if (!p->claims) {
        log_error("executor.broken", "what=threads");
        p->status = PROCESS_BROKEN;
        end_loop(x);
    }
}

static void on_fenced(struct executor *x)
{
    struct process *p = (struct process *)x;
    p->status = PROCESS_FENCED;
    claims_end(p->claims);
    upkeep_end(p->upkeep);
    flow_cancel_all(x, "this executor has lost its lease");
    if (x->stopping)
        end_loop(x); /* MariaDB is away, and nobody is to wait for it: the others see that this one is lost */
}

/* --- signals --- */

/* Hands back what is left. Where MariaDB is away that waits; but once the lease is over nothing is left to
 * wait for: the others will find the runs lost. */
static void on_grace(void *arg)
{
    struct process *p = arg;
    struct executor *x = &p->x;
    flow_hand_back_idle(x, true);
    if (x->fenced)
        end_loop(x);
    else
        timer_set(x->timers, &p->grace, clock_boot_ms() + AFTER_GRACE_MS);
}

static void stop(struct process *p)
{
    struct executor *x = &p->x;
    if (x->stopping)
        return;
    log_info("executor.stopping", "runs=%zu", id_table_count(x->flows));
    x->stopping = true;
    claims_end(p->claims);
    upkeep_end(p->upkeep);
    timer_set(x->timers, &p->grace, clock_boot_ms() + x->config->executor.grace_s * 1000);
    flow_hand_back_idle(x, false);
    on_changed(x);
    if (x->fenced)
        end_loop(x);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    if (number == SIGTERM || number == SIGINT)
        stop(arg);
    else
        log_reopen();
}

static void watch_signals(struct process *p)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    sigset_t none;
    for (int i = 0; i < SIGNALS; i++) {
        p->signals[i] = evsignal_new(p->x.base, numbers[i], on_signal, p);
        event_add(p->signals[i], NULL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* the master forks with all of them blocked */
    signal(SIGPIPE, SIG_IGN);
}

/* --- setting up --- */

static void load_key(struct process *p)
{
    const char *why;
    const char *path = p->x.config->secrets.key_file;
    if (!*path)
        return;
    if (secrets_load_key(path, p->key, &why) == OK)
        p->x.secret_key = p->key;
    else
        log_error("secrets.no_key", "file=%s message=\"%s\"", path, why);
}

static bool start_writer(struct process *p)
{
    const struct config *c = p->x.config;
    struct db_settings *db = talloc_zero(p, struct db_settings);
    *db = (struct db_settings){.socket = c->database.socket,
                               .name = c->database.name,
                               .user = c->executor.db_user,
                               .password = config_password(p, c->executor.db_password_file)};
    struct writer_settings settings = {.db = db,
                                       .redis_socket = c->redis.socket,
                                       .programs = p->x.programs,
                                       .on_claiming = on_claiming,
                                       .on_claimed = on_claimed,
                                       .arg = &p->x};
    if (db->password)
        p->x.writer = writer_start(p, p->x.base, &settings);
    return p->x.writer != NULL;
}

static bool start_http(struct process *p)
{
    const char *why = NULL;
    struct outgoing *outgoing = outgoing_new(p, p->x.config->executor.outgoing_allow, &why);
    if (!outgoing)
        log_error("executor.setting", "setting=executor.outgoing_allow message=\"%s\"", why);
    else
        p->x.http = http_new(p, p->x.base, p->x.timers, outgoing);
    return p->x.http != NULL;
}

/* This process's share of the cores, and one more while another waits for the disk. */
static int start_width(const struct config *c)
{
    return (int)(sysconf(_SC_NPROCESSORS_ONLN) / c->executor.processes) + 1;
}

static const struct flow_kinds kinds = {
    .workflow = &workflow_kind, .skill = &skill_kind, .model = &model_kind};

static bool set_up(struct process *p)
{
    struct executor *x = &p->x;
    struct event_config *how = event_config_new();
    event_config_set_flag(how, EVENT_BASE_FLAG_NOLOCK); /* threads wake the loop by eventfds only */
    x->base = event_base_new_with_config(how);
    event_config_free(how);
    x->timers = x->base ? timers_new(p, x->base) : NULL;
    if (!x->timers)
        return false;
    watch_signals(p);
    redis_keys_prefix(x->config->redis.prefix);
    load_key(p);
    x->flows = id_table_new(p);
    x->processes = talloc_new(p);
    x->slot_last = &x->slot_first;
    x->changed = on_changed;
    x->kinds = &kinds;
    x->programs = programs_new(p);
    x->uids = talloc_zero_array(p, bool, (size_t)x->config->executor.max_active);
    x->blobs = blob_store_open(p, x->config->files.dir);
    x->disk = disk_start(p, x->base);
    x->starts = start_gate_new(p, x->timers, start_width(x->config));
    runner_find_program();
    p->grace = (struct timer){.fire = on_grace, .arg = p};
    if (!x->disk || !start_http(p) || !start_writer(p))
        return false;
    x->children = child_watch_new(p, x);
    p->hints = hints_start(p, x);
    x->liveness = liveness_start(p, x, on_registered, on_fenced, end_loop);
    return true;
}

static void take_down(struct process *p)
{
    struct executor *x = &p->x;
    claims_end(p->claims);
    claims_join(p->claims);
    if (x->writer)
        writer_stop(x->writer);
    if (x->disk)
        disk_stop(x->disk);
    for (int i = 0; i < SIGNALS && p->signals[i]; i++)
        event_free(p->signals[i]);
    TALLOC_FREE(
        x->processes); /* with the pipes that runners hang on: those that are left end by themselves */
    TALLOC_FREE(p->sweep);
    TALLOC_FREE(p->hints);
    TALLOC_FREE(x->children);
    TALLOC_FREE(x->liveness);
    TALLOC_FREE(x->http);
    TALLOC_FREE(x->timers);
    if (x->base)
        event_base_free(x->base);
}

int process_run(const struct config *config, int index, struct pulse_watch *watches)
{
    struct process *p = talloc_zero(NULL, struct process);
    p->x.config = config;
    p->x.index = index;
    p->x.watches = watches;
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !set_up(p)) {
        log_error("executor.broken", "what=start");
        p->status = PROCESS_BROKEN;
    } else {
        event_base_dispatch(p->x.base);
        log_info("executor.stopped", "status=%d", p->status);
    }
    int status = p->status;
    take_down(p);
    sodium_memzero(p->key, sizeof p->key);
    talloc_free(p);
    curl_global_cleanup();
    return status;
}
