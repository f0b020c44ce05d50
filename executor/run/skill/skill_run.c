#include "executor/run/skill/skill_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "blob/blob.h"
#include "executor/io/disk_thread.h"
#include "executor/io/runner_process.h"
#include "executor/io/spawn_limiter.h"
#include "executor/run/run_events.h"
#include "executor/run/skill/collect_outputs.h"
#include "executor/run/skill/exit_verdict.h"
#include "executor/run/skill/stage_files.h"
#include "executor/run/skill/stopped_skill.h"
#include "executor/run/skill/warm_pool.h"
#include "skill/package.h"

/* The state of a command's run. */
struct skill_run {
    /* a reference; NULL: the manifest does not compile */
    struct cached_skill *cached_skill;
    /* a reference */
    struct sandbox_permit *sandbox;
    /* JSON as it was sent, and as skill_extra_json wrote it (or NULL) */
    const char *input, *extra;
    /* NULL: it does not run */
    struct runner_process *runner;
    /* of a warm skill, from the start of its job until its outputs are collected; otherwise NULL */
    struct warm_worker *warm;
    /* the job of a warm skill was given to its process */
    bool job_started;
    /* staging files: its `arg` is cleared if the run is freed first */
    struct job *running_job;
    /* collecting outputs */
    struct outputs_job *outputs;
    struct spawn_ticket ticket;
    /* set after this host could not get the files or the package: the run is handed back then */
    struct timer hand_back;
    /* for the runner; NULL: none */
    json_object *files;
    /* NULL: there is none (any more) */
    const char *run_dir;
    /* from the command's start */
    int64_t timeout_ms;
    /* wall time at which the runner got the job */
    int64_t given_ms;
};

/* --- the command's span --- */

static struct trace_key command_key(const struct active_run *run)
{
    return (struct trace_key){.span = TRACE_SPAN_COMMAND, .try = run->row.attempt};
}

/* `reason` may be REASON_NONE although it failed: the span of the run says why. */
static void trace_command(struct active_run *run, bool failed, enum failure_reason reason)
{
    const struct skill_run *s = run->state;
    run_trace_span(&run->trace, &(struct run_span){
                                    .key = command_key(run),
                                    .above = {.span = TRACE_SPAN_RUN},
                                    .step = "command",
                                    .type = "skill",
                                    .start_ms = s->given_ms,
                                    .failed = failed,
                                    .reason = reason_name(reason),
                                });
}

static void on_command_started(void *arg)
{
    struct active_run *run = arg;
    struct skill_run *s = run->state;
    s->job_started = true;
    spawn_limiter_release(&s->ticket);
    /* the runner enforces the time limit and reports it; this timer is for a runner that does not */
    if (!run->ending)
        timer_set(run->exec->timers, &run->deadline, clock_boot_ms() + s->timeout_ms + RUNNER_REPORT_MS);
}

static void on_command_progress(void *arg, int percent, const char *message)
{
    struct active_run *run = arg;
    if (!run->ending)
        run_add_progress_event(run, percent, message);
}

static void on_command_log(void *arg, const char *text, int64_t omitted_bytes)
{
    struct active_run *run = arg;
    if (!run->ending)
        run_add_log_event(run, text, omitted_bytes);
}

static void add_artifact_event(struct active_run *run, const struct artifact *a)
{
    char url[160];
    json_object *data = json_object_new_object();
    snprintf(url, sizeof url, "/api/v1/executions/%s/artifacts/%s", run->row.id.text, a->id.text);
    json_object_object_add(data, "artifact_id", json_object_new_string(a->id.text));
    json_object_object_add(data, "relpath_in_workspace", json_object_new_string(a->relpath));
    json_object_object_add(data, "document_type", json_object_new_string(a->media_type));
    json_object_object_add(data, "download_url", json_object_new_string(url));
    json_object_object_add(data, "size_bytes", json_object_new_int64(a->blob.size));
    commit_add_event(run_pending_commit(run), EVENT_ARTIFACT_CREATED, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

/* {relpath, why}, as the runner reported it, with the path below the working directory and cut. */
static json_object *refused_file(void *ctx, json_object *reported)
{
    enum { SHOWN_MAX = 200 };
    const char *relpath = json_get_text(reported, "relpath");
    size_t size = relpath ? strlen(relpath) : 0, shown = utf8_cut(relpath, size, SHOWN_MAX);
    json_object *file = json_object_new_object();
    char *text = talloc_asprintf(ctx, "outputs/%.*s%s", (int)shown, relpath ? relpath : "",
                                 shown < size ? "\u2026" : "");
    json_object_object_add(file, "relpath_in_workspace", json_object_new_string(text));
    json_object_object_add(file, "why", json_object_get(json_get(reported, "why")));
    return file;
}

/* One event for all files of outputs/ that are not artifacts although the manifest names them. */
static void add_refused_event(struct active_run *run, json_object *record, size_t missing_n)
{
    json_object *counts = json_get(record, "artifacts_refused_reasons");
    json_object *reported = json_get(record, "artifacts_refused");
    int64_t n = (int64_t)missing_n;
    void *scratch = talloc_new(NULL);
    json_object *reasons = json_object_new_object();
    json_object *files = json_object_new_array();
    json_object *data = json_own(scratch, json_object_new_object());
    if (json_object_is_type(counts, json_type_object)) {
        json_object_object_foreach(counts, why, count)
        {
            n += json_object_get_int64(count);
            json_object_object_add(reasons, why, json_object_get(count));
        }
    }
    if (missing_n > 0)
        json_object_object_add(reasons, "cannot be read", json_object_new_int64((int64_t)missing_n));
    for (size_t i = 0; reported && i < json_object_array_length(reported); i++)
        json_object_array_add(files, refused_file(scratch, json_object_array_get_idx(reported, i)));
    json_object_object_add(data, "refused", json_object_new_int64(n));
    json_object_object_add(data, "reasons", reasons);
    json_object_object_add(data, "files", files);
    if (n > 0)
        commit_add_event(run_pending_commit(run), EVENT_ARTIFACTS_REFUSED, clock_wall_ms(),
                         json_text(data, NULL));
    talloc_free(scratch);
}

/* --- the end --- */

/* What the runner reported, for when the outputs are collected. Of the job, as the run may be freed before
 * it. */
struct skill_ending {
    /* NULL: the run was freed */
    struct active_run *run;
    struct exit_verdict verdict;
    int64_t wallclock_ms;
    bool started, reusable;
    /* NULL: the runner died; a reference */
    json_object *record;
};

static void put_outputs(struct active_run *run, struct outputs_job *j, const struct skill_ending *e)
{
    struct usage usage = {.has_wallclock = true,
                          .wallclock_ms = e->wallclock_ms,
                          .has_log = j->has_log && !j->failed,
                          .log = j->log};
    struct commit *c = run_pending_commit(run);
    run_record_usage(c, &usage);
    c->nothing_started = !e->started && !run->earlier_side_effects;
    if (j->failed)
        return;
    c->artifacts = talloc_steal(c, j->artifacts);
    c->artifacts_n = j->artifacts_n;
    for (size_t i = 0; i < j->artifacts_n; i++) {
        talloc_steal(c, j->artifacts[i].relpath);
        talloc_steal(c, j->artifacts[i].media_type);
        add_artifact_event(run, &j->artifacts[i]);
    }
    add_refused_event(run, e->record, j->missing_n);
}

static void on_outputs_collected(struct outputs_job *j)
{
    struct skill_ending *e = j->arg;
    struct active_run *run = e->run;
    if (run && !run->ending) {
        struct skill_run *s = run->state;
        s->outputs = NULL;
        warm_worker_give_back(s->warm, e->reusable);
        s->warm = NULL;
        put_outputs(run, j, e);
        if (e->verdict.reason)
            run_fail(run, e->verdict.reason, e->verdict.error);
        else if (j->failed)
            run_fail(run, REASON_INTERNAL, "the run's outputs could not be stored");
        else if (j->outputs)
            run_succeed(run, j->outputs);
        else
            run_fail(run, j->reason, j->why);
    }
    talloc_free(j);
}

static void wait_for_spawn(struct active_run *run);

/* What a runner that died before it started the job may have made, and its successor makes again. */
static void remove_begun_files(const struct skill_run *s)
{
    static const char *const files[] = {"log", "stdout"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = talloc_asprintf(NULL, "%s/%s", s->run_dir, files[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            log_warn("skill.remove_failed", "file=%s message=\"%s\"", path, strerror(errno));
        talloc_free(path);
    }
}

/* The runner has exited. True: it was idle when it died, so that nothing of the job has happened, and another
 * process can take it. */
static bool may_start_again(struct skill_run *s)
{
    bool untouched = s->warm && warm_worker_is_used(s->warm) && !s->job_started;
    warm_worker_forget(s->warm);
    s->warm = NULL;
    return untouched;
}

static void on_command_ended(void *arg, json_object *record)
{
    struct active_run *run = arg;
    struct skill_run *s = run->state;
    s->runner = NULL;
    spawn_limiter_release(&s->ticket);
    if (!record && may_start_again(s)) {
        remove_begun_files(s);
        wait_for_spawn(run);
        return;
    }
    /* the time limit is the command's: the run must not fail because other jobs keep the disk thread busy */
    timer_clear(run->exec->timers, &run->deadline);
    struct outputs_job *j =
        outputs_job_new(run->exec, s->cached_skill, s->run_dir,
                        s->warm ? warm_worker_dir(s->warm) : s->run_dir, json_get(record, "artifacts"));
    struct skill_ending *e = talloc_zero(j, struct skill_ending);
    *e = (struct skill_ending){.run = run,
                               .verdict = exit_verdict_of(j, record),
                               .wallclock_ms = json_object_get_int64(json_get(record, "wallclock_ms")),
                               .reusable = json_object_get_boolean(json_get(record, "reusable")),
                               .started = !record || json_object_get_boolean(json_get(record, "started"))};
    trace_command(run, e->verdict.reason != REASON_NONE, e->verdict.reason);
    e->record = json_own(e, json_object_get(record));
    if (e->verdict.reason == REASON_INTERNAL)
        log_error("skill.runner_failed", "execution=%s message=\"%s\"", run->row.id.text, e->verdict.error);
    j->want_outputs = e->verdict.reason == 0;
    j->collected = on_outputs_collected;
    j->arg = e;
    s->outputs = j;
    outputs_job_submit(run->exec, j);
}

/* --- starting the runner --- */

static json_object *accepted_missing(const char *setting)
{
    json_object *array = json_object_new_array();
    for (const char *p = setting; *p;) {
        size_t n = strcspn(p, ", ");
        if (n > 0)
            json_object_array_add(array, json_object_new_string_len(p, (int)n));
        p += n + (p[n] != '\0');
    }
    return array;
}

/* Adds the trace to the job: a command gets the variables by which OpenTelemetry passes one on; for a warm
 * one, whose environment is that of its process, the same goes into the job's line. */
static void add_trace(const struct active_run *run, bool warm, json_object *job)
{
    struct trace_context below = trace_below(&run->trace.context, &run->row.id, command_key(run));
    char text[TRACE_PARENT_TEXT];
    json_object *to = warm ? job : json_object_new_object();
    trace_parent_text(&below, text);
    json_object_object_add(to, warm ? "traceparent" : "TRACEPARENT", json_object_new_string(text));
    if (run->trace.state)
        json_object_object_add(to, warm ? "tracestate" : "TRACESTATE",
                               json_object_new_string(run->trace.state));
    if (!warm)
        json_object_object_add(job, "env", to);
}

static json_object *describe_runner_job(const struct active_run *run, int64_t timeout_ms)
{
    const struct skill_run *s = run->state;
    const struct manifest *m = cached_skill_manifest(s->cached_skill);
    const struct config *c = run->exec->config;
    char *dir = package_path(NULL, c->files.dir, cached_skill_row(s->cached_skill)->hash);
    json_object *job = runner_job_new(m, dir, s->run_dir, s->input, timeout_ms);
    if (s->files)
        json_object_object_add(job, "files", json_object_get(s->files));
    if (*c->executor.sandbox_accept_missing)
        json_object_object_add(job, "accept_missing", accepted_missing(c->executor.sandbox_accept_missing));
    add_trace(run, m->warm, job);
    talloc_free(dir);
    return job;
}

static void launch_runner(void *arg)
{
    static const struct runner_process_events events = {on_command_started, on_command_progress,
                                                        on_command_log, on_command_ended};
    struct active_run *run = arg;
    struct skill_run *s = run->state;
    int64_t left_ms = run->deadline.at_ms - clock_boot_ms();
    int64_t timeout_ms = cached_skill_manifest(s->cached_skill)->timeout_ms;
    if (!executor_holds_lease(run->exec)) /* the run is about to be cancelled */
        return;
    if (timeout_ms > left_ms)
        timeout_ms = left_ms > 1 ? left_ms : 1;
    s->timeout_ms = timeout_ms;
    s->given_ms = clock_wall_ms();
    json_object *job = describe_runner_job(run, timeout_ms);
    s->runner = s->warm ? warm_worker_start(s->warm, job, &events, run)
                        : runner_process_start(run->exec, &run->row.workspace_id, job, &events, run);
    json_object_put(job);
    if (!s->runner) {
        run_note_nothing_started(run);
        run_fail(run, REASON_INTERNAL, "the runner could not be started");
    }
}

/* True: a process that waits takes the job. Otherwise a warm skill gets a new worker. */
static bool take_warm_worker(struct active_run *run)
{
    struct skill_run *s = run->state;
    const struct skill *skill = cached_skill_row(s->cached_skill);
    const struct warm_key key = {.workspace = run->row.workspace_id,
                                 .principal = run->principal_id,
                                 .skill = skill->id,
                                 .version = skill->version};
    s->warm = warm_pool_take(run->exec->warm_pool, &key);
    if (s->warm)
        return true;
    s->warm = warm_worker_new(run->exec->warm_pool, &key);
    return false;
}

static void wait_for_spawn(struct active_run *run)
{
    struct skill_run *s = run->state;
    if (cached_skill_manifest(s->cached_skill)->warm && take_warm_worker(run)) {
        launch_runner(run);
        return;
    }
    s->ticket =
        (struct spawn_ticket){.workspace = run->row.workspace_id, .on_granted = launch_runner, .arg = run};
    spawn_limiter_acquire(run->exec->spawn_limiter, &s->ticket);
}

/* --- the beginning --- */

/* This host does not have the bytes and cannot get them now. Another one may have them, or this one later.
 * The run is kept for a while, so that it does not go round and round. */
enum { HAND_BACK_FIRST_MS = 500, HAND_BACK_MOST_MS = 15000 };

static void on_hand_back(void *arg)
{
    struct active_run *run = arg;
    if (!run->ending)
        run_release(run);
}

static void hand_back_later(struct active_run *run)
{
    struct skill_run *s = run->state;
    run_note_nothing_started(run); /* it may reach its deadline in this way */
    s->hand_back = (struct timer){.fire = on_hand_back, .arg = run};
    timer_set(run->exec->timers, &s->hand_back,
              clock_boot_ms() + backoff_ms(HAND_BACK_FIRST_MS, run->row.attempt, HAND_BACK_MOST_MS));
}

static bool is_lack_of_bytes(const struct active_run *run, enum err e)
{
    return blob_store_objects(run->exec->blobs) &&
           (e == ERR_NOT_FOUND || e == ERR_UNAVAILABLE || e == ERR_LIMIT);
}

static void on_files_staged(struct job *job)
{
    struct stage_files_job *j = (struct stage_files_job *)job;
    struct active_run *run = job->arg;
    if (run && !run->ending && job->e == OK && stage_files_has_more(j)) {
        disk_thread_submit(run->exec->disk_thread, job);
        return;
    }
    if (run && !run->ending) {
        struct skill_run *s = run->state;
        s->running_job = NULL;
        if (is_lack_of_bytes(run, job->e)) {
            hand_back_later(run);
        } else if (err_is_transient(job->e)) {
            run_release(run); /* MariaDB is unreachable: the next attempt tries again */
        } else if (job->e != OK) {
            run_note_nothing_started(run);
            run_fail(run, REASON_INTERNAL, "the input files could not be staged");
        } else {
            s->files = json_object_get(j->files);
            if (j->missing)
                commit_add_event(run_pending_commit(run), EVENT_FILES_MISSING, clock_wall_ms(),
                                 json_text(j->missing, NULL));
            wait_for_spawn(run);
        }
    }
    talloc_free(j);
}

static void stage_files(struct active_run *run, json_object *ids, const uint8_t *package)
{
    struct skill_run *s = run->state;
    struct stage_files_job *j = stage_files_job_new(run, s->run_dir, ids, package);
    j->job.done = on_files_staged;
    j->job.arg = run;
    s->running_job = &j->job;
    db_thread_submit(run->exec->db_thread, &j->job);
}

static int skill_run_destroy(struct skill_run *s)
{
    json_object_put(s->files);
    cached_skill_unref(s->cached_skill);
    sandbox_permit_unref(s->sandbox);
    return 0;
}

static void init_skill(struct active_run *run, const struct claimed_run *c)
{
    struct skill_run *s = talloc_zero(run, struct skill_run);
    run->state = s;
    s->cached_skill = c->skill ? cached_skill_ref(c->skill) : NULL;
    s->sandbox = sandbox_permit_ref(c->sandbox);
    s->input = talloc_strdup(s, c->input ? c->input : "{}");
    s->extra = c->extra ? talloc_strdup(s, c->extra) : NULL;
    talloc_set_destructor(s, skill_run_destroy);
}

/* The hash of the skill's package if this host is to get it from the object store, otherwise NULL. */
static const uint8_t *lacking_package(const struct active_run *run)
{
    const struct skill_run *s = run->state;
    if (!blob_store_objects(run->exec->blobs))
        return NULL;
    const uint8_t *hash = cached_skill_row(s->cached_skill)->hash;
    char *dir = package_path(NULL, run->exec->config->files.dir, hash);
    bool is_here = access(dir, F_OK) == 0;
    talloc_free(dir);
    return is_here ? NULL : hash;
}

static const char *skill_unusable(const struct active_run *run)
{
    const struct skill_run *s = run->state;
    return s->cached_skill ? NULL
                           : "the skill's manifest could not be loaded: it is missing, or not one that this "
                             "version of Millrace compiles";
}

static void begin_skill(struct active_run *run)
{
    struct skill_run *s = run->state;
    json_object *extra = NULL;
    const char *why;
    s->run_dir = talloc_asprintf(s, "%s/%s.%d", run->exec->config->executor.run_dir, run->row.id.text,
                                 run->row.attempt);
    if (!run->exec->blobs) {
        run_note_nothing_started(run);
        run_fail(run, REASON_INTERNAL, "this executor has no directory for files");
        return;
    }
    if (s->extra && json_parse_tolerant(s, s->extra, strlen(s->extra), JSON_DEPTH_MAX, &extra, &why) != OK)
        extra = NULL;
    json_object *ids = json_get(extra, "file_source_ids");
    if (!json_object_is_type(ids, json_type_array) || json_object_array_length(ids) == 0)
        ids = NULL;
    const uint8_t *package = lacking_package(run);
    if (ids || package)
        stage_files(run, ids, package);
    else
        wait_for_spawn(run);
}

/* --- the kind of run --- */

/* The command has ended and its outputs are being collected when the run is stopped: its usage, log and
 * artifacts are recorded all the same. */
static void hand_over_outputs_job(struct active_run *run)
{
    struct skill_run *s = run->state;
    struct skill_ending *e = s->outputs->arg;
    e->run = NULL;
    if (executor_may_record(run->exec)) {
        stopped_skill_take_outputs(run, s->cached_skill, s->outputs, e->wallclock_ms, s->run_dir, s->warm);
        s->run_dir = NULL;
        s->warm = NULL;
    }
}

static void detach_running_job(struct active_run *run)
{
    struct skill_run *s = run->state;
    if (s->outputs)
        hand_over_outputs_job(run);
    s->outputs = NULL;
    if (s->running_job)
        s->running_job->arg = NULL;
    s->running_job = NULL;
}

static void detach_runner(struct active_run *run)
{
    struct skill_run *s = run->state;
    if (s->runner)
        trace_command(run, true, REASON_NONE);
    if (s->runner && executor_may_record(run->exec)) {
        stopped_skill_take_runner(run, s->cached_skill, s->sandbox, s->runner, s->run_dir, s->warm);
    } else if (s->runner) {
        runner_process_abandon(s->runner, s->run_dir);
        warm_worker_forget(s->warm);
    } else {
        warm_worker_give_back(s->warm, false);
        if (s->run_dir)
            run_dir_remove(run->exec, s->run_dir);
    }
    s->runner = NULL;
    s->warm = NULL;
    s->run_dir = NULL;
}

static void cancel_skill(struct active_run *run)
{
    struct skill_run *s = run->state;
    timer_clear(run->exec->timers, &s->hand_back);
    detach_running_job(run);
    spawn_limiter_release(&s->ticket);
    detach_runner(run);
}

static bool skill_has_inflight_effect(const struct active_run *run)
{
    const struct skill_run *s = run->state;
    return s->runner || s->running_job || s->outputs;
}

const struct run_kind skill_run_kind = {
    .init = init_skill,
    .unusable = skill_unusable,
    .begin = begin_skill,
    .cancel = cancel_skill,
    .has_inflight_effect = skill_has_inflight_effect,
};
