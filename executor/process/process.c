#include "executor/process/process.h"

#include <curl/curl.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/tally.h"
#include "blob/blob.h"
#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "executor/db_thread/claimed_run.h"
#include "executor/io/disk_thread.h"
#include "executor/io/http_client.h"
#include "executor/io/runner_process.h"
#include "executor/io/spawn_limiter.h"
#include "executor/lease/begun_run.h"
#include "executor/lease/claimer.h"
#include "executor/lease/lease.h"
#include "executor/lease/maintenance_timer.h"
#include "executor/lease/notifications.h"
#include "executor/process/log_copy.h"
#include "executor/process/process_state.h"
#include "executor/process/share_answer.h"
#include "executor/push/push_worker.h"
#include "executor/run/active_run.h"
#include "executor/run/child_watch.h"
#include "executor/run/model/model_run.h"
#include "executor/run/skill/run_dir_sweep.h"
#include "executor/run/skill/skill_run.h"
#include "executor/run/skill/warm_pool.h"
#include "executor/run/turns.h"
#include "executor/run/workflow/interpreter.h"
#include "executor/webhook/webhook_worker.h"
#include "otlp/otlp.h"
#include "redis/keys.h"
#include "secret/secrets.h"
#include "service/compute_thread.h"
#include "store/share_limits.h"

enum {
    SIGNALS = 5,
    /* Between further attempts to release runs after the grace period. */
    AFTER_GRACE_MS = 1000,
    /* For beginning the runs of one claim, whose rows stay locked until then. */
    BEGIN_RUNS_US = 5000,
    /* File descriptors that are kept for what is not a request: pipes of runners, files, connections. */
    OTHER_FILES = 512,
    /* A workspace's minimum of sandboxes is this part of executor.max_active, and at least 1. */
    WORKSPACES_WITH_MINIMUM = 16,
    /* Memory of runs and programs without a setting and without a limit of a control group. */
    MEMORY_MIB = 2048,
};

struct process {
    struct executor exec; /* first: callbacks of its modules get its address */
    struct maintenance_timer *maintenance;
    struct webhook_worker *webhooks;
    struct push_worker *pushes;
    /* The connection that each thread opens for itself. */
    struct db_settings *db;
    struct run_dir_sweep *run_dir_sweep;
    struct notifications *notifications;
    struct event *signals[SIGNALS];
    struct timer grace_timer;
    struct state_dump *state_dump;
    uint8_t key[SECRET_KEY_SIZE];
    /* After SIGTERM: the last transaction that may have claimed runs has been settled. */
    bool claims_settled;
    /* Of the secrets of webhooks. */
    uint8_t webhook_key[SECRET_KEY_SIZE];
    bool has_webhook_key;
    const struct egress_policy *steps_policy, *push_policy;
    /* The row is being deleted; the loop ends afterwards. */
    bool leaving;
    /* The exit status. */
    int status;
};

static void end_loop(struct executor *exec)
{
    event_base_loopbreak(exec->base);
}

/* After SIGTERM: ends when no run is in memory, none can come, and no runner lives. */
static void exit_when_idle(struct executor *exec)
{
    struct process *p = (struct process *)exec;
    if (!exec->stopping || exec->fenced || p->leaving || !p->claims_settled || id_map_count(exec->runs) > 0 ||
        exec->active_runners > 0 || !webhook_worker_is_idle(p->webhooks) || !push_worker_is_idle(p->pushes))
        return;
    p->leaving = true;
    lease_unregister(exec->lease, end_loop);
}

/* Inside the transaction that claims these runs. Runs for which there is no time left begin when their claim
 * is written. */
static void on_claiming(void *arg, struct claimed_run *runs, size_t n)
{
    struct executor *exec = arg;
    int64_t until_us = clock_boot_us() + BEGIN_RUNS_US;
    turns_limit(exec->turns, until_us);
    for (size_t i = 0; i < n && !exec->fenced && clock_boot_us() <= until_us; i++) {
        progress_begin(&exec->loop_progress, "begin in claim", &runs[i].run.id);
        begun_run_set(exec->begun_run, &runs[i].run.id, runs[i].run.attempt);
        failpoint("claim.begin");
        run_begin_in_claim(exec, &runs[i]);
    }
    begun_run_clear(exec->begun_run);
    turns_limit(exec->turns, INT64_MAX);
    failpoint("claim.before_commit");
}

static void on_claimed(void *arg, struct claimed_run *runs, size_t n, enum err e)
{
    struct executor *exec = arg;
    if (e == OK)
        failpoint("claim.after_commit");
    else
        log_warn("claim.failed", "runs=%zu error=%s", n, err_name(e));
    for (size_t i = 0; i < n; i++) {
        progress_begin(&exec->loop_progress, "settle claim", &runs[i].run.id);
        run_settle_claim(exec, &runs[i], e);
    }
}

/* On the database thread. Slots exist, and with them claims, only once the lease has been taken. */
static bool may_claim(void *arg)
{
    const struct executor *exec = arg;
    return exec->lease && lease_holds(exec->lease);
}

/* --- the lease --- */

static bool may_send_requests(void *exec)
{
    return executor_holds_lease(exec);
}

/* Without a key nothing can be signed, and the API makes no endpoints. */
static struct webhook_worker *start_webhooks(struct process *p)
{
    struct http_client_settings settings = {
        .steps_policy = p->steps_policy,
        .models_policy = p->steps_policy,
        .dns_servers = p->exec.config->executor.dns_servers,
        .may_send = may_send_requests,
        .arg = &p->exec,
    };
    return p->has_webhook_key ? webhook_worker_start(p, &p->exec, &settings, p->webhook_key,
                                                     lease_executor_id(p->exec.lease))
                              : NULL;
}

static struct push_worker *start_pushes(struct process *p)
{
    struct http_client_settings settings = {
        .steps_policy = p->push_policy,
        .models_policy = p->push_policy,
        .dns_servers = p->exec.config->executor.dns_servers,
        .may_send = may_send_requests,
        .arg = &p->exec,
    };
    return push_worker_start(p, &p->exec, &settings);
}

static void on_registered(struct executor *exec)
{
    struct process *p = (struct process *)exec;
    if (exec->stopping)
        return;
    p->exec.claimer = claimer_start(p, exec);
    p->maintenance = maintenance_timer_start(p, exec, p->db);
    p->webhooks = start_webhooks(p);
    p->pushes = start_pushes(p);
    if (exec->process_index == 0)
        p->run_dir_sweep = run_dir_sweep_start(p, exec);
    if (!p->exec.claimer) {
        log_error("executor.start_failed", "what=claimer");
        p->status = PROCESS_BROKEN;
        end_loop(exec);
    }
}

static void on_fenced(struct executor *exec)
{
    struct process *p = (struct process *)exec;
    p->status = PROCESS_FENCED;
    claimer_end(p->exec.claimer);
    maintenance_timer_end(p->maintenance);
    webhook_worker_end(p->webhooks);
    push_worker_end(p->pushes);
    runs_cancel_all(exec, "this executor has lost its lease");
    warm_pool_close(exec->warm_pool);
    if (exec->stopping)
        end_loop(exec); /* MariaDB is unreachable: the other executors will find this one lost */
}

/* --- signals --- */

/* Releases the runs that are left, again every second while MariaDB is unreachable. Once the lease is over
 * there is nothing to wait for: the other executors will find the runs lost. */
static void on_grace_over(void *arg)
{
    struct process *p = arg;
    struct executor *exec = &p->exec;
    runs_release_idle(exec, true);
    if (exec->fenced)
        end_loop(exec);
    else
        timer_set(exec->timers, &p->grace_timer, clock_boot_ms() + AFTER_GRACE_MS);
}

static void do_nothing(struct job *job, struct db_thread_ctx *thread_ctx)
{
    (void)job;
    (void)thread_ctx;
}

static void on_claims_settled(struct job *job)
{
    struct process *p = job->arg;
    talloc_free(job);
    p->claims_settled = true;
    runs_release_idle(&p->exec, false);
    exit_when_idle(&p->exec);
}

/* Claims have ended, but one may be under way in the database thread. Its runs come to the loop before this
 * job does. */
static void await_last_claims(struct process *p)
{
    struct job *job = talloc_zero(p, struct job);
    *job = (struct job){.kind = JOB_CALL, .work = do_nothing, .done = on_claims_settled, .arg = p};
    db_thread_submit(p->exec.db_thread, job);
}

static void stop_process(struct process *p)
{
    struct executor *exec = &p->exec;
    if (exec->stopping)
        return;
    log_info("executor.stopping", "runs=%zu", id_map_count(exec->runs));
    exec->stopping = true;
    claimer_end(p->exec.claimer);
    maintenance_timer_end(p->maintenance);
    webhook_worker_end(p->webhooks);
    push_worker_end(p->pushes);
    timer_set(exec->timers, &p->grace_timer, clock_boot_ms() + exec->config->executor.grace_s * 1000);
    await_last_claims(p);
    runs_release_idle(exec, false);
    warm_pool_close(exec->warm_pool);
    if (exec->fenced)
        end_loop(exec);
}

static void on_process_signal(evutil_socket_t number, short what, void *arg)
{
    struct process *p = arg;
    if (number == SIGTERM || number == SIGINT)
        stop_process(p);
    else if (number == SIGUSR2)
        state_dump_write(p->state_dump);
    else
        log_reopen();
}

static void watch_signals(struct process *p)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t none;
    for (int i = 0; i < SIGNALS; i++) {
        p->signals[i] = evsignal_new(p->exec.base, numbers[i], on_process_signal, p);
        event_add(p->signals[i], NULL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* the master forks with them blocked */
}

/* --- setting up --- */

static void load_webhook_key(struct process *p)
{
    const struct config *c = p->exec.config;
    const char *why, *path = c->webhooks.key_file;
    if (!*path)
        return;
    p->has_webhook_key = secrets_load_key(path, p->webhook_key, &why) == OK;
    if (!p->has_webhook_key)
        log_error("webhook.key_load_failed", "file=%s message=\"%s\"", path, why);
}

static void load_secret_key(struct process *p)
{
    const char *why;
    const char *path = p->exec.config->secrets.key_file;
    if (!*path)
        return;
    if (secrets_load_key(path, p->key, &why) == OK)
        p->exec.secret_key = p->key;
    else
        log_error("secrets.key_load_failed", "file=%s message=\"%s\"", path, why);
}

static bool set_up_db_thread(struct process *p)
{
    const struct config *c = p->exec.config;
    struct db_settings *db = talloc_zero(p, struct db_settings);
    *db = (struct db_settings){.socket = c->database.socket,
                               .name = c->database.name,
                               .user = c->executor.db_user,
                               .password = config_password(p, c->executor.db_password_file),
                               .timeout_s = (unsigned)c->database.timeout_s,
                               .settle_s = (unsigned)c->database.settle_s};
    p->exec.db_settings = db;
    struct db_thread_settings settings = {.db = db,
                                          .redis_socket = c->redis.socket,
                                          .programs = p->exec.programs,
                                          .skills = p->exec.skills,
                                          .sandboxes = p->exec.sandboxes,
                                          .compute = p->exec.compute,
                                          .memory = &p->exec.memory,
                                          .on_claiming = on_claiming,
                                          .on_claimed = on_claimed,
                                          .may_claim = may_claim,
                                          .arg = &p->exec,
                                          .progress = &p->exec.db_thread_progress,
                                          .loop_progress = &p->exec.loop_progress};
    p->db = db;
    if (db->password)
        p->exec.db_thread = db_thread_start(p, p->exec.base, &settings);
    return p->exec.db_thread != NULL;
}

static struct egress_policy *set_up_egress(struct process *p, const char *setting, const char *allow)
{
    const char *why = NULL;
    struct egress_policy *policy = egress_policy_new(p, setting, allow, &why);
    if (!policy)
        log_error("executor.setting_invalid", "setting=%s message=\"%s\"", setting, why);
    return policy;
}

/* Raises the soft limit of file descriptors to the hard limit. A request takes up to two of them, because
 * IPv6 and IPv4 are tried at the same time; OTHER_FILES are for everything else. */
static size_t requests_in_flight_max(int64_t wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return (size_t)wanted;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* at or below the hard limit: nothing can fail */
    if (files.rlim_cur == RLIM_INFINITY)
        return (size_t)wanted;
    int64_t possible = files.rlim_cur > OTHER_FILES ? (int64_t)(files.rlim_cur - OTHER_FILES) / 2 : 1;
    if (possible < wanted)
        log_warn("executor.fd_limit_low", "setting=executor.max_http_in_flight value=%lld possible=%lld",
                 (long long)wanted, (long long)possible);
    return (size_t)(possible < wanted ? possible : wanted);
}

static size_t http_requests_of(void *arg, const id *workspace)
{
    return share_limits_get(arg, QUOTA_HTTP_REQUESTS, workspace);
}

static size_t guaranteed_http_requests_of(void *arg, const id *workspace)
{
    return share_limits_get(arg, QUOTA_HTTP_REQUESTS_GUARANTEED, workspace);
}

static bool set_up_http_client(struct process *p)
{
    const struct config *c = p->exec.config;
    const char *why = NULL;
    struct http_client_settings settings = {
        .steps_policy = set_up_egress(p, "executor.outgoing_allow", c->executor.outgoing_allow),
        .models_policy = set_up_egress(p, "executor.models_allow", c->executor.models_allow),
        .dns_servers = c->executor.dns_servers,
        .max_in_flight = requests_in_flight_max(c->executor.max_http_in_flight),
        .workspace_max = {http_requests_of, p->exec.share_limits},
        .workspace_guaranteed = {guaranteed_http_requests_of, p->exec.share_limits},
        .may_send = may_send_requests,
        .arg = &p->exec,
    };
    p->steps_policy = settings.steps_policy;
    p->push_policy = set_up_egress(p, "push.outgoing_allow", c->push.outgoing_allow);
    if (!settings.steps_policy || !settings.models_policy || !p->push_policy)
        return false;
    p->exec.http_client = http_client_new(p, p->exec.base, p->exec.timers, &settings, &why);
    if (!p->exec.http_client)
        log_error("executor.start_failed", "what=http_client message=\"%s\"", why);
    return p->exec.http_client != NULL;
}

/* This process's share of the processor cores, and one more for while another waits for the disk. */
static int spawn_limit(const struct config *c)
{
    return (int)(sysconf(_SC_NPROCESSORS_ONLN) / c->executor.processes) + 1;
}

static bool take_free_slot(void *db_thread)
{
    return db_thread_take_slot(db_thread);
}

static void put_back_slot(void *db_thread)
{
    db_thread_add_slots(db_thread, 1);
}

static void set_up_slots(struct process *p)
{
    struct executor *exec = &p->exec;
    struct slot_pool pool = {.take = take_free_slot, .put_back = put_back_slot, .arg = exec->db_thread};
    size_t waiting = (size_t)exec->config->executor.max_waiting_mib << 20;
    if (waiting > exec->memory.max / 2)
        waiting = exec->memory.max / 2;
    exec->slots = slots_new(p, &pool, exec->config->executor.max_waiting, waiting, &exec->memory);
}

/* Half of the limit of the control group, which the processes share: the rest is for what is not counted
 * (responses, texts on their way, evaluations, what malloc keeps). */
static size_t memory_max(const struct config *c)
{
    if (c->executor.memory_mib > 0)
        return (size_t)c->executor.memory_mib << 20;
    size_t limit = memory_limit_of_process();
    if (limit == SIZE_MAX)
        return (size_t)MEMORY_MIB << 20;
    return limit / 2 / (size_t)c->executor.processes;
}

/* Runs that had no permit are queued. */
static void on_sandbox_free(void *arg)
{
    const struct executor *exec = arg;
    db_thread_scan_queued(exec->db_thread);
}

static size_t sandboxes_of(void *arg, const id *workspace)
{
    return share_limits_get(arg, QUOTA_SANDBOXES, workspace);
}

static size_t guaranteed_sandboxes_of(void *arg, const id *workspace)
{
    return share_limits_get(arg, QUOTA_SANDBOXES_GUARANTEED, workspace);
}

static void set_up_sandboxes(struct process *p)
{
    size_t total = (size_t)p->exec.config->executor.max_active;
    size_t least = total / WORKSPACES_WITH_MINIMUM;
    const struct share_limit most = {sandboxes_of, p->exec.share_limits};
    const struct share_limit guaranteed = {guaranteed_sandboxes_of, p->exec.share_limits};
    p->exec.sandboxes =
        sandbox_share_new(p, total, least > 0 ? least : 1, &most, &guaranteed, on_sandbox_free, &p->exec);
}

static const struct run_kinds kinds = {
    .workflow = &workflow_run_kind, .skill = &skill_run_kind, .model = &model_run_kind};

static void note_load(struct executor *exec)
{
    if (exec->http_client) {
        atomic_store(&exec->http_in_flight_seen, (int)http_calls_in_flight(exec->http_client));
        atomic_store(&exec->http_waiting_seen, (int)http_calls_waiting(exec->http_client));
    }
    atomic_store(&exec->commands_seen, (int)exec->active_runners);
}

static bool set_up_process(struct process *p)
{
    struct executor *exec = &p->exec;
    struct event_config *how = event_config_new();
    event_config_set_flag(how, EVENT_BASE_FLAG_NOLOCK); /* other threads wake the loop by eventfds only */
    exec->base = event_base_new_with_config(how);
    event_config_free(how);
    exec->timers = exec->base ? timers_new(p, exec->base) : NULL;
    if (!exec->timers)
        return false;
    p->state_dump = state_dump_new(p);
    watch_signals(p);
    redis_keys_set_prefix(exec->config->redis.prefix);
    load_secret_key(p);
    load_webhook_key(p);
    exec->runs = id_map_new(p);
    exec->turns = turns_new(p, exec->timers, clock_boot_us);
    exec->process_ctx = talloc_new(p);
    exec->note_load = note_load;
    exec->answer_share_question = share_answer_send;
    exec->on_work_ended = exit_when_idle;
    exec->otlp = otlp_new(NULL, exec->config, "millrace-executor", NULL);
    exec->kinds = &kinds;
    exec->compute = compute_thread_start(p, exec->base);
    if (!exec->compute)
        return false;
    memory_budget_init(&exec->memory, memory_max(exec->config));
    log_info("executor.memory", "max_mib=%zu", exec->memory.max >> 20);
    exec->programs = compiled_programs_new(p, exec->compute, &exec->memory);
    exec->skills = compiled_skills_new(p, exec->compute, &exec->memory);
    exec->share_limits = share_limits_new(p, exec->config);
    set_up_sandboxes(p);
    exec->uid_slots_taken = talloc_zero_array(p, bool, (size_t)runner_process_uids(exec->config));
    exec->blobs = blob_store_open(p, exec->config, NULL);
    exec->disk_thread = disk_thread_start(p, exec->base);
    exec->spawn_limiter = spawn_limiter_new(p, exec->timers, spawn_limit(exec->config));
    exec->warm_pool = warm_pool_new(p, exec);
    runner_process_find_program();
    p->grace_timer = (struct timer){.fire = on_grace_over, .arg = p};
    if (!exec->disk_thread || !set_up_http_client(p) || !set_up_db_thread(p))
        return false;
    set_up_slots(p);
    exec->child_watch = child_watch_new(p, exec);
    p->notifications = notifications_start(p, exec);
    exec->lease = lease_start(p, exec, on_registered, on_fenced, end_loop);
    if (!exec->lease)
        return false;
    process_state_add(p->state_dump, exec);
    return true;
}

static void tear_down_process(struct process *p)
{
    struct executor *exec = &p->exec;
    claimer_end(p->exec.claimer);
    claimer_join(p->exec.claimer);
    if (exec->compute)
        compute_thread_end(exec->compute); /* it wakes the maintenance thread and the database thread */
    maintenance_timer_stop(p->maintenance);
    webhook_worker_stop(p->webhooks);
    push_worker_stop(p->pushes);
    if (exec->lease)
        lease_end(exec->lease); /* no more is watched: the loop has ended */
    if (exec->db_thread)
        db_thread_stop(exec->db_thread);
    if (exec->disk_thread)
        disk_thread_stop(exec->disk_thread);
    for (int i = 0; i < SIGNALS && p->signals[i]; i++)
        event_free(p->signals[i]);
    /* closes the pipes of the runners that are left, which ends them */
    TALLOC_FREE(exec->process_ctx);
    TALLOC_FREE(p->run_dir_sweep);
    TALLOC_FREE(p->notifications);
    TALLOC_FREE(exec->child_watch);
    TALLOC_FREE(exec->lease);
    TALLOC_FREE(exec->http_client);
    TALLOC_FREE(exec->programs);
    TALLOC_FREE(exec->skills);
    if (exec->compute)
        compute_thread_free(exec->compute);
    otlp_stop(exec->otlp);
    TALLOC_FREE(exec->timers);
    if (exec->base)
        event_base_free(exec->base);
}

int process_run(const struct config *config, int index, struct peer_heartbeat *peers,
                struct begun_run *begun_run)
{
    struct process *p = talloc_zero(NULL, struct process);
    tally_share(NULL, TALLY_EXECUTOR);
    struct log_copy *log_copy = log_copy_start(p, config);
    p->exec.config = config;
    p->exec.process_index = index;
    p->exec.peers = peers;
    p->exec.begun_run = begun_run;
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !set_up_process(p)) {
        log_error("executor.start_failed", "what=process");
        p->status = PROCESS_BROKEN;
    } else {
        event_base_dispatch(p->exec.base);
        log_info("executor.stopped", "status=%d", p->status);
    }
    int status = p->status;
    tear_down_process(p);
    log_copy_end(log_copy);
    sodium_memzero(p->key, sizeof p->key);
    sodium_memzero(p->webhook_key, sizeof p->webhook_key);
    talloc_free(p);
    curl_global_cleanup();
    return status;
}
