#define _GNU_SOURCE
#include "executor/run/skill/skill_run.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/io/disk_thread.h"
#include "executor/io/spawn_limiter.h"
#include "executor/run/run_events.h"
#include "executor/run/skill/collect_outputs.h"
#include "executor/run/skill/stopped_skill.h"
#include "skill/package.h"
#include "store/file.h"

enum {
    RUNNER_REPORT_MS = SKILL_GRACE_MS + 3000, /* behind the deadline, for the runner to tell of it */
    FILES_MAX = 1000,
};

/* The state of a command's run. */
struct skill_run {
    struct active_run *run;
    /* a reference; NULL: the manifest does not compile */
    struct cached_skill *cached_skill;
    /* JSON as it was sent, and as skill_extra_json wrote it (or NULL) */
    const char *input, *extra;
    struct runner_process *runner;
    /* staging files or collecting outputs: its `arg` is cleared if the run is freed first */
    struct job *running_job;
    struct spawn_ticket ticket;
    /* for the runner; NULL: none */
    json_object *files;
    /* NULL: there is none (any more) */
    const char *run_dir;
    /* from the command's start */
    int64_t timeout_ms;
};

static void on_command_started(void *arg)
{
    struct active_run *run = arg;
    struct skill_run *s = run->state;
    spawn_limiter_release(&s->ticket);
    /* the runner keeps the time, and tells; this is for one that does not */
    if (!run->ending)
        timer_set(run->exec->timers, &run->deadline, clock_boot_ms() + s->timeout_ms + RUNNER_REPORT_MS);
}

static void on_command_progress(void *arg, int percent, const char *message)
{
    struct active_run *run = arg;
    if (!run->ending)
        run_add_progress_event(run, percent, message);
}

static void on_command_log(void *arg, const char *text)
{
    struct active_run *run = arg;
    if (!run->ending)
        run_add_log_event(run, text);
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

/* --- the end: what became of it --- */

struct verdict {
    enum failure_reason reason; /* 0: it ended well, as far as the runner can tell */
    const char *error;
};

static struct verdict verdict_by_reason(void *ctx, const char *reason, const char *detail)
{
    static const struct {
        const char *word;
        enum failure_reason reason;
        const char *error;
    } known[] = {
        {"timeout", REASON_TIMEOUT, "the run took longer than it may"},
        {"memory_limit", REASON_MEMORY_LIMIT, "the run used more memory than it may"},
        {"output_limit", REASON_OUTPUT_LIMIT, "the outputs are larger than they may be"},
        {"disk_limit", REASON_OUTPUT_LIMIT, "the run wrote more to disk than it may"},
        {"process_limit", REASON_STEP_FAILED, "the run started more processes than it may"},
        {"stopped", REASON_STOPPED, "the run was stopped"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].word, reason) == 0)
            return (struct verdict){known[i].reason, known[i].error};
    }
    return (struct verdict){REASON_INTERNAL, talloc_asprintf(ctx, "the runner could not run it%s%s",
                                                             detail ? ": " : "", detail ? detail : "")};
}

static struct verdict judge_runner_record(void *ctx, json_object *record)
{
    const char *reason = json_get_text(record, "reason");
    const char *detail = json_get_text(record, "detail");
    json_object *code = json_get(record, "exit_code"), *number = json_get(record, "signal");
    if (!record)
        return (struct verdict){REASON_INTERNAL, "the runner has died"};
    if (reason)
        return verdict_by_reason(ctx, reason, detail);
    if (number)
        return (struct verdict){REASON_STEP_FAILED, talloc_asprintf(ctx, "the command was ended by signal %d",
                                                                    json_object_get_int(number))};
    if (!code || json_object_get_int(code) != 0)
        return (struct verdict){REASON_STEP_FAILED,
                                talloc_asprintf(ctx, "the command ended with exit code %d%s%s",
                                                json_object_get_int(code), detail ? ": " : "",
                                                detail ? detail : "")};
    return (struct verdict){0};
}

struct skill_ending { /* a outputs_job's arg would not outlive the flow: what the runner said goes with the
                         job */
    struct active_run *run;
    struct verdict verdict;
    int64_t wallclock_ms;
    bool started;
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
    talloc_steal(c, j->blob_lock);
    for (size_t i = 0; i < j->artifacts_n; i++) {
        talloc_steal(c, j->artifacts[i].relpath);
        talloc_steal(c, j->artifacts[i].media_type);
        add_artifact_event(run, &j->artifacts[i]);
    }
}

static void on_outputs_collected(struct job *job)
{
    struct outputs_job *j = (struct outputs_job *)job;
    struct skill_ending *e = job->arg;
    struct active_run *run = e->run;
    if (run && !run->ending) {
        ((struct skill_run *)run->state)->running_job = NULL;
        put_outputs(run, j, e);
        if (e->verdict.reason)
            run_fail(run, e->verdict.reason, e->verdict.error);
        else if (j->failed)
            run_fail(run, REASON_INTERNAL, "what the run left could not be kept");
        else if (j->outputs)
            run_succeed(run, j->outputs);
        else
            run_fail(run, j->reason, j->why);
    }
    talloc_free(j);
}

static void on_command_ended(void *arg, json_object *record)
{
    struct active_run *run = arg;
    struct skill_run *s = run->state;
    s->runner = NULL;
    spawn_limiter_release(&s->ticket);
    /* what is left to do is ours, however long others keep the disk busy */
    timer_clear(run->exec->timers, &run->deadline);
    struct outputs_job *j =
        outputs_job_new(run->exec, s->cached_skill, s->run_dir, json_get(record, "artifacts"));
    struct skill_ending *e = talloc_zero(j, struct skill_ending);
    *e = (struct skill_ending){.run = run,
                               .verdict = judge_runner_record(j, record),
                               .wallclock_ms = json_object_get_int64(json_get(record, "wallclock_ms")),
                               .started = !record || json_object_get_boolean(json_get(record, "started"))};
    if (e->verdict.reason == REASON_INTERNAL)
        log_error("skill.broken_run", "execution=%s message=\"%s\"", run->row.id.text, e->verdict.error);
    j->want_outputs = e->verdict.reason == 0;
    j->job.done = on_outputs_collected;
    j->job.arg = e;
    s->running_job = &j->job;
    disk_thread_submit(run->exec->disk_thread, &j->job);
}

/* --- the beginning --- */

static json_object *json_texts(const char *const *list, size_t n)
{
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(array, json_object_new_string(list[i]));
    return array;
}

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

static json_object *describe_runner_job(const struct active_run *run, int64_t timeout_ms)
{
    const struct skill_run *s = run->state;
    const struct manifest *m = cached_skill_manifest(s->cached_skill);
    const struct config *c = run->exec->config;
    json_object *job = json_object_new_object();
    char *dir = package_path(NULL, c->files.dir, cached_skill_row(s->cached_skill)->hash);
    json_object_object_add(job, "argv", json_texts(m->argv, m->argv_n));
    json_object_object_add(job, "skill_dir", json_object_new_string(dir));
    json_object_object_add(job, "run_dir", json_object_new_string(s->run_dir));
    json_object_object_add(job, "stdin", json_object_new_string(s->input));
    json_object_object_add(job, "timeout_ms", json_object_new_int64(timeout_ms));
    json_object_object_add(job, "grace_ms", json_object_new_int(SKILL_GRACE_MS));
    json_object_object_add(job, "memory_mb", json_object_new_int64(m->memory_mb));
    json_object_object_add(job, "network", json_object_new_boolean(m->network));
    if (m->artifacts)
        json_object_object_add(job, "artifacts", json_texts(m->artifacts, m->artifacts_n));
    if (s->files)
        json_object_object_add(job, "files", json_object_get(s->files));
    if (*c->executor.sandbox_accept_missing)
        json_object_object_add(job, "accept_missing", accepted_missing(c->executor.sandbox_accept_missing));
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
    if (!executor_holds_lease(run->exec)) /* the fence is about to fall */
        return;
    if (timeout_ms > left_ms)
        timeout_ms = left_ms > 1 ? left_ms : 1;
    s->timeout_ms = timeout_ms;
    json_object *job = describe_runner_job(run, timeout_ms);
    s->runner = runner_process_start(run->exec, job, &events, run);
    json_object_put(job);
    if (!s->runner) {
        run_note_nothing_started(run);
        run_fail(run, REASON_INTERNAL, "the runner cannot be started");
    }
}

static void wait_for_spawn(struct active_run *run)
{
    struct skill_run *s = run->state;
    s->ticket = (struct spawn_ticket){.on_granted = launch_runner, .arg = run};
    spawn_limiter_acquire(run->exec->spawn_limiter, &s->ticket);
}

/* --- its files --- */

struct stage_files_job {
    struct job job; /* first */
    struct blob_store *blobs;
    id workspace, principal;
    const char *run_dir;
    const char **names;
    size_t n;
    json_object *files; /* for the runner */
};

static int stage_files_destroy(struct stage_files_job *j)
{
    json_object_put(j->files);
    return 0;
}

/* A name of our own for the blob, so that it stays while the run needs it; or, across file systems, its own.
 */
static const char *link_blob(struct stage_files_job *j, const struct file *file, size_t i)
{
    char *blob = blob_path(j, j->blobs, file->blob.sha256);
    char *ours = talloc_asprintf(j, "%s/files/%zu", j->run_dir, i);
    return link(blob, ours) == 0 ? ours : blob;
}

static void stage_files_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct stage_files_job *j = (struct stage_files_job *)job;
    struct file *list;
    size_t n;
    char *dir = talloc_asprintf(j, "%s/files", j->run_dir);
    job->e = file_find(thread_ctx->db, j, &j->workspace, &j->principal, j->names, j->n, &list, &n);
    if (job->e != OK || n == 0)
        return;
    if ((mkdir(j->run_dir, 0711) != 0 && errno != EEXIST) || (mkdir(dir, 0700) != 0 && errno != EEXIST)) {
        log_error("skill.no_folder", "dir=%s message=\"%s\"", dir, strerror(errno));
        job->e = ERR_INTERNAL;
        return;
    }
    j->files = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        json_object *file = json_object_new_object();
        json_object_object_add(file, "source_path", json_object_new_string(link_blob(j, &list[i], i)));
        json_object_object_add(file, "name", json_object_new_string(list[i].name));
        json_object_array_add(j->files, file);
    }
}

static void on_files_staged(struct job *job)
{
    struct stage_files_job *j = (struct stage_files_job *)job;
    struct active_run *run = job->arg;
    if (run && !run->ending) {
        struct skill_run *s = run->state;
        s->running_job = NULL;
        if (err_is_transient(job->e)) {
            run_release(run); /* MariaDB went away: whoever takes it next looks again */
        } else if (job->e != OK) {
            run_note_nothing_started(run);
            run_fail(run, REASON_INTERNAL, "its files cannot be staged");
        } else {
            s->files = json_object_get(j->files);
            wait_for_spawn(run);
        }
    }
    talloc_free(j);
}

static void stage_files(struct active_run *run, json_object *ids)
{
    struct skill_run *s = run->state;
    struct stage_files_job *j = talloc_zero(NULL, struct stage_files_job);
    j->job = (struct job){.kind = JOB_CALL, .work = stage_files_work, .done = on_files_staged, .arg = run};
    j->blobs = run->exec->blobs;
    j->workspace = run->row.workspace_id;
    j->principal = run->principal_id;
    j->run_dir = talloc_strdup(j, s->run_dir);
    j->names = talloc_array(j, const char *, FILES_MAX);
    for (size_t i = 0; i < json_object_array_length(ids) && j->n < FILES_MAX; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(ids, i));
        j->names[j->n++] = talloc_strdup(j, name ? name : "");
    }
    talloc_set_destructor(j, stage_files_destroy);
    s->running_job = &j->job;
    db_thread_submit(run->exec->db_thread, &j->job);
}

static int skill_run_destroy(struct skill_run *s)
{
    json_object_put(s->files);
    cached_skill_unref(s->cached_skill);
    return 0;
}

static void init_skill(struct active_run *run, const struct claimed_run *c)
{
    struct skill_run *s = talloc_zero(run, struct skill_run);
    run->state = s;
    s->run = run;
    s->cached_skill = c->skill ? cached_skill_ref(c->skill) : NULL;
    s->input = talloc_strdup(s, c->input ? c->input : "{}");
    s->extra = c->extra ? talloc_strdup(s, c->extra) : NULL;
    talloc_set_destructor(s, skill_run_destroy);
}

static const char *skill_unusable(const struct active_run *run)
{
    const struct skill_run *s = run->state;
    return s->cached_skill ? NULL : "the skill's manifest is not usable";
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
        run_fail(run, REASON_INTERNAL, "this executor has no folder for files");
        return;
    }
    if (s->extra && json_parse(s, s->extra, strlen(s->extra), JSON_DEPTH_MAX, &extra, &why) != OK)
        extra = NULL;
    json_object *ids = json_get(extra, "file_source_ids");
    if (json_object_is_type(ids, json_type_array) && json_object_array_length(ids) > 0)
        stage_files(run, ids);
    else
        wait_for_spawn(run);
}

/* --- as a kind of flow --- */

/* What was kept of an ended command is not lost with a stop that comes at just that moment. */
static void hand_over_outputs_job(struct active_run *run)
{
    struct skill_run *s = run->state;
    struct skill_ending *e = s->running_job->arg;
    e->run = NULL;
    if (executor_may_record(run->exec)) {
        stopped_skill_take_outputs(run, s->cached_skill, (struct outputs_job *)s->running_job,
                                   e->wallclock_ms, s->run_dir);
        s->run_dir = NULL;
    }
}

static void detach_running_job(struct active_run *run)
{
    struct skill_run *s = run->state;
    if (s->running_job && s->running_job->done == on_outputs_collected)
        hand_over_outputs_job(run);
    else if (s->running_job)
        s->running_job->arg = NULL;
    s->running_job = NULL;
}

static void detach_runner(struct active_run *run)
{
    struct skill_run *s = run->state;
    if (s->runner && executor_may_record(run->exec))
        stopped_skill_take_runner(run, s->cached_skill, s->runner, s->run_dir);
    else if (s->runner)
        runner_process_abandon(s->runner, s->run_dir);
    else if (s->run_dir)
        run_dir_remove(run->exec, s->run_dir);
    s->runner = NULL;
    s->run_dir = NULL;
}

static void cancel_skill(struct active_run *run)
{
    struct skill_run *s = run->state;
    detach_running_job(run);
    spawn_limiter_release(&s->ticket);
    detach_runner(run);
}

static bool skill_has_inflight_effect(const struct active_run *run)
{
    const struct skill_run *s = run->state;
    return s->runner || s->running_job;
}

const struct run_kind skill_run_kind = {
    .init = init_skill,
    .unusable = skill_unusable,
    .begin = begin_skill,
    .cancel = cancel_skill,
    .has_inflight_effect = skill_has_inflight_effect,
};

/* --- folders of the dead --- */

enum {
    SWEEP_MS = 5000,
    SWEEP_MAX = 256,
    /* Behind a run's end: its executor hears of a stop with its next beat at the latest, its command has its
     * grace, and its log is kept (run_stopped). */
    LINGER_MS = HEARTBEAT_MS + RUNNER_REPORT_MS,
};

struct run_dir_sweep {
    struct executor *exec;
    struct timer next;
};

struct run_dir_sweep_job {
    struct job job; /* first */
    id ids[SWEEP_MAX];
    int attempts[SWEEP_MAX];
    bool live[SWEEP_MAX];
    size_t n;
};

static void sweep_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct run_dir_sweep_job *j = (struct run_dir_sweep_job *)job;
    struct db_value *ids = talloc_array(j, struct db_value, j->n);
    struct db_rows *rows;
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < j->n; i++)
        ids[i] = db_id(&j->ids[i]);
    job->e = db_run_each(thread_ctx->db, j, SQL_EXECUTOR_ATTEMPTS, NULL, 0, ids, 1, j->n, &rows);
    for (size_t r = 0; job->e == OK && r < rows->count; r++) {
        int64_t ended_ms = db_int(rows, r, EXECUTOR_ATTEMPTS_ENDED_MS);
        bool lingers = ended_ms > now_ms - LINGER_MS && ended_ms <= now_ms;
        bool stays = db_int(rows, r, EXECUTOR_ATTEMPTS_STATE) == STATE_RUNNING || lingers;
        for (size_t i = 0; i < j->n; i++)
            j->live[i] =
                j->live[i] || (stays && strcmp(j->ids[i].text, db_str(rows, r, EXECUTOR_ATTEMPTS_ID)) == 0 &&
                               db_int(rows, r, EXECUTOR_ATTEMPTS_ATTEMPT) == j->attempts[i]);
    }
}

static void on_swept(struct job *job)
{
    struct run_dir_sweep_job *j = (struct run_dir_sweep_job *)job;
    struct executor *exec = job->arg;
    for (size_t i = 0; job->e == OK && i < j->n; i++) {
        char *dir =
            talloc_asprintf(j, "%s/%s.%d", exec->config->executor.run_dir, j->ids[i].text, j->attempts[i]);
        if (!j->live[i])
            run_dir_remove(exec, dir);
    }
    talloc_free(j);
}

/* ID.ATTEMPT of a run that is not in our hands. */
static bool parse_run_dir_name(struct executor *exec, const char *name, id *id_r, int *attempt_r)
{
    char *end;
    if (strlen(name) < ID_LENGTH + 2 || name[ID_LENGTH] != '.' || !id_parse(name, ID_LENGTH, id_r))
        return false;
    *attempt_r = (int)strtol(name + ID_LENGTH + 1, &end, 10);
    return *end == '\0' && !id_map_get(exec->runs, id_r);
}

static void on_sweep(void *arg)
{
    struct run_dir_sweep *s = arg;
    struct executor *exec = s->exec;
    DIR *dir = opendir(exec->config->executor.run_dir);
    struct run_dir_sweep_job *j = talloc_zero(NULL, struct run_dir_sweep_job);
    struct dirent *entry;
    j->job = (struct job){.kind = JOB_CALL, .work = sweep_work, .done = on_swept, .arg = exec};
    while (dir && j->n < SWEEP_MAX && (entry = readdir(dir)))
        j->n += parse_run_dir_name(exec, entry->d_name, &j->ids[j->n], &j->attempts[j->n]);
    if (dir)
        closedir(dir);
    if (j->n > 0)
        db_thread_submit(exec->db_thread, &j->job);
    else
        talloc_free(j);
    timer_set(exec->timers, &s->next, clock_boot_ms() + SWEEP_MS);
}

static int sweep_destroy(struct run_dir_sweep *s)
{
    timer_clear(s->exec->timers, &s->next);
    return 0;
}

struct run_dir_sweep *run_dir_sweep_start(void *ctx, struct executor *exec)
{
    struct run_dir_sweep *s = talloc_zero(ctx, struct run_dir_sweep);
    s->exec = exec;
    s->next = (struct timer){.fire = on_sweep, .arg = s};
    talloc_set_destructor(s, sweep_destroy);
    timer_set(exec->timers, &s->next, clock_boot_ms());
    return s;
}
