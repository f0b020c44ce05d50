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
    PATIENCE_MS = SKILL_GRACE_MS + 3000, /* behind the deadline, for the runner to tell of it */
    FILES_MAX = 1000,
};

struct skill_run {
    struct runner *runner;
    struct job *asking; /* staging or keeping: its `arg` is cleared where the flow goes first */
    struct start_turn turn;
    json_object *files;  /* for the runner; NULL: none */
    const char *run_dir; /* NULL: there is none (any more) */
    int64_t timeout_ms;  /* from the command's start */
};

static void on_started(void *arg)
{
    struct flow *f = arg;
    if (!f->skill)
        return;
    start_gate_leave(&f->skill->turn);
    /* the runner keeps the time, and tells; this is for one that does not */
    if (!f->ending)
        timer_set(f->x->timers, &f->deadline, clock_boot_ms() + f->skill->timeout_ms + PATIENCE_MS);
}

static void on_progress(void *arg, int percent, const char *message)
{
    struct flow *f = arg;
    if (!f->ending)
        run_tell_progress(f, percent, message);
}

static void on_log(void *arg, const char *text)
{
    struct flow *f = arg;
    if (!f->ending)
        run_tell_log(f, text);
}

static void tell_artifact(struct flow *f, const struct artifact *a)
{
    char url[160];
    json_object *data = json_object_new_object();
    snprintf(url, sizeof url, "/api/v1/executions/%s/artifacts/%s", f->run.id.text, a->id.text);
    json_object_object_add(data, "artifact_id", json_object_new_string(a->id.text));
    json_object_object_add(data, "relpath_in_workspace", json_object_new_string(a->relpath));
    json_object_object_add(data, "document_type", json_object_new_string(a->media_type));
    json_object_object_add(data, "download_url", json_object_new_string(url));
    json_object_object_add(data, "size_bytes", json_object_new_int64(a->blob.size));
    commit_event(flow_open(f), EVENT_ARTIFACT_CREATED, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

/* --- the end: what became of it --- */

struct verdict {
    enum failure_reason reason; /* 0: it ended well, as far as the runner can tell */
    const char *error;
};

static struct verdict by_reason(void *ctx, const char *reason, const char *detail)
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

static struct verdict judge(void *ctx, json_object *record)
{
    const char *reason = json_get_text(record, "reason");
    const char *detail = json_get_text(record, "detail");
    json_object *code = json_get(record, "exit_code"), *number = json_get(record, "signal");
    if (!record)
        return (struct verdict){REASON_INTERNAL, "the runner has died"};
    if (reason)
        return by_reason(ctx, reason, detail);
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

struct ending { /* a keep_job's arg would not outlive the flow: what the runner said goes with the job */
    struct flow *flow;
    struct verdict verdict;
    int64_t wallclock_ms;
    bool started;
};

static void hand_over(struct flow *f, struct keep_job *j, const struct ending *e)
{
    struct usage usage = {.has_wallclock = true,
                          .wallclock_ms = e->wallclock_ms,
                          .has_log = j->has_log && !j->failed,
                          .log = j->log};
    struct commit *c = flow_open(f);
    run_note_usage(c, &usage);
    c->nothing_started = !e->started && !f->had_effects;
    if (j->failed)
        return;
    c->artifacts = talloc_steal(c, j->artifacts);
    c->artifacts_n = j->artifacts_n;
    talloc_steal(c, j->hold);
    for (size_t i = 0; i < j->artifacts_n; i++) {
        talloc_steal(c, j->artifacts[i].relpath);
        talloc_steal(c, j->artifacts[i].media_type);
        tell_artifact(f, &j->artifacts[i]);
    }
}

static void on_kept(struct job *job)
{
    struct keep_job *j = (struct keep_job *)job;
    struct ending *e = job->arg;
    struct flow *f = e->flow;
    if (f && !f->ending) {
        f->skill->asking = NULL;
        hand_over(f, j, e);
        if (e->verdict.reason)
            flow_fail(f, e->verdict.reason, e->verdict.error);
        else if (j->failed)
            flow_fail(f, REASON_INTERNAL, "what the run left could not be kept");
        else if (j->outputs)
            flow_succeed(f, j->outputs);
        else
            flow_fail(f, j->reason, j->why);
    }
    talloc_free(j);
}

static void on_ended(void *arg, json_object *record)
{
    struct flow *f = arg;
    struct skill_run *s = f->skill;
    s->runner = NULL;
    start_gate_leave(&s->turn);
    /* what is left to do is ours, however long others keep the disk busy */
    timer_clear(f->x->timers, &f->deadline);
    struct keep_job *j = keep_job_new(f->x, f->cached_skill, s->run_dir, json_get(record, "artifacts"));
    struct ending *e = talloc_zero(j, struct ending);
    *e = (struct ending){.flow = f,
                         .verdict = judge(j, record),
                         .wallclock_ms = json_object_get_int64(json_get(record, "wallclock_ms")),
                         .started = !record || json_object_get_boolean(json_get(record, "started"))};
    if (e->verdict.reason == REASON_INTERNAL)
        log_error("skill.broken_run", "execution=%s message=\"%s\"", f->run.id.text, e->verdict.error);
    j->want_outputs = e->verdict.reason == 0;
    j->job.done = on_kept;
    j->job.arg = e;
    s->asking = &j->job;
    disk_submit(f->x->disk, &j->job);
}

/* --- the beginning --- */

static json_object *texts(const char *const *list, size_t n)
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

static json_object *describe(const struct flow *f, int64_t timeout_ms)
{
    const struct manifest *m = skills_manifest(f->cached_skill);
    const struct config *c = f->x->config;
    json_object *job = json_object_new_object();
    char *dir = package_path(NULL, c->files.dir, skills_row(f->cached_skill)->hash);
    json_object_object_add(job, "argv", texts(m->argv, m->argv_n));
    json_object_object_add(job, "skill_dir", json_object_new_string(dir));
    json_object_object_add(job, "run_dir", json_object_new_string(f->skill->run_dir));
    json_object_object_add(job, "stdin", json_object_new_string(f->input));
    json_object_object_add(job, "timeout_ms", json_object_new_int64(timeout_ms));
    json_object_object_add(job, "grace_ms", json_object_new_int(SKILL_GRACE_MS));
    json_object_object_add(job, "memory_mb", json_object_new_int64(m->memory_mb));
    json_object_object_add(job, "network", json_object_new_boolean(m->network));
    if (m->artifacts)
        json_object_object_add(job, "artifacts", texts(m->artifacts, m->artifacts_n));
    if (f->skill->files)
        json_object_object_add(job, "files", json_object_get(f->skill->files));
    if (*c->executor.sandbox_accept_missing)
        json_object_object_add(job, "accept_missing", accepted_missing(c->executor.sandbox_accept_missing));
    talloc_free(dir);
    return job;
}

static void launch(void *arg)
{
    static const struct runner_events events = {on_started, on_progress, on_log, on_ended};
    struct flow *f = arg;
    int64_t left_ms = f->deadline.at_ms - clock_boot_ms();
    int64_t timeout_ms = skills_manifest(f->cached_skill)->timeout_ms;
    if (!executor_may_act(f->x)) /* the fence is about to fall */
        return;
    if (timeout_ms > left_ms)
        timeout_ms = left_ms > 1 ? left_ms : 1;
    f->skill->timeout_ms = timeout_ms;
    json_object *job = describe(f, timeout_ms);
    f->skill->runner = runner_start(f->x, job, &events, f);
    json_object_put(job);
    if (!f->skill->runner) {
        flow_open(f)->nothing_started = !f->had_effects;
        flow_fail(f, REASON_INTERNAL, "the runner cannot be started");
    }
}

static void get_in_line(struct flow *f)
{
    f->skill->turn = (struct start_turn){.go = launch, .arg = f};
    start_gate_enter(f->x->starts, &f->skill->turn);
}

/* --- its files --- */

struct stage_job {
    struct job job; /* first */
    struct blob_store *blobs;
    id workspace, principal;
    const char *run_dir;
    const char **names;
    size_t n;
    json_object *files; /* for the runner */
};

static int stage_destroy(struct stage_job *j)
{
    json_object_put(j->files);
    return 0;
}

/* A name of our own for the blob, so that it stays while the run needs it; or, across file systems, its own.
 */
static const char *hold_fast(struct stage_job *j, const struct file *file, size_t i)
{
    char *blob = blob_path(j, j->blobs, file->blob.sha256);
    char *ours = talloc_asprintf(j, "%s/files/%zu", j->run_dir, i);
    return link(blob, ours) == 0 ? ours : blob;
}

static void stage_work(struct job *job, struct writer_hands *hands)
{
    struct stage_job *j = (struct stage_job *)job;
    struct file *list;
    size_t n;
    char *dir = talloc_asprintf(j, "%s/files", j->run_dir);
    job->e = file_find(hands->db, j, &j->workspace, &j->principal, j->names, j->n, &list, &n);
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
        json_object_object_add(file, "source_path", json_object_new_string(hold_fast(j, &list[i], i)));
        json_object_object_add(file, "name", json_object_new_string(list[i].name));
        json_object_array_add(j->files, file);
    }
}

static void on_staged(struct job *job)
{
    struct stage_job *j = (struct stage_job *)job;
    struct flow *f = job->arg;
    if (f && !f->ending) {
        f->skill->asking = NULL;
        if (job->e == ERR_BUSY) {
            flow_hand_back(f); /* MariaDB went away: whoever takes it next looks again */
        } else if (job->e != OK) {
            flow_open(f)->nothing_started = !f->had_effects;
            flow_fail(f, REASON_INTERNAL, "its files cannot be staged");
        } else {
            f->skill->files = json_object_get(j->files);
            get_in_line(f);
        }
    }
    talloc_free(j);
}

static void stage(struct flow *f, json_object *ids)
{
    struct stage_job *j = talloc_zero(NULL, struct stage_job);
    j->job = (struct job){.kind = JOB_CALL, .work = stage_work, .done = on_staged, .arg = f};
    j->blobs = f->x->blobs;
    j->workspace = f->run.workspace_id;
    j->principal = f->principal_id;
    j->run_dir = talloc_strdup(j, f->skill->run_dir);
    j->names = talloc_array(j, const char *, FILES_MAX);
    for (size_t i = 0; i < json_object_array_length(ids) && j->n < FILES_MAX; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(ids, i));
        j->names[j->n++] = talloc_strdup(j, name ? name : "");
    }
    talloc_set_destructor(j, stage_destroy);
    f->skill->asking = &j->job;
    writer_submit(f->x->writer, &j->job);
}

static int skill_destroy(struct skill_run *s)
{
    json_object_put(s->files);
    return 0;
}

static void begin(struct flow *f)
{
    json_object *extra = NULL;
    const char *why;
    f->skill = talloc_zero(f, struct skill_run);
    talloc_set_destructor(f->skill, skill_destroy);
    f->skill->run_dir =
        talloc_asprintf(f->skill, "%s/%s.%d", f->x->config->executor.run_dir, f->run.id.text, f->run.attempt);
    if (!f->x->blobs) {
        flow_open(f)->nothing_started = !f->had_effects;
        flow_fail(f, REASON_INTERNAL, "this executor has no folder for files");
        return;
    }
    if (f->extra && json_parse(f, f->extra, strlen(f->extra), JSON_DEPTH_MAX, &extra, &why) != OK)
        extra = NULL;
    json_object *ids = json_get(extra, "file_source_ids");
    if (json_object_is_type(ids, json_type_array) && json_object_array_length(ids) > 0)
        stage(f, ids);
    else
        get_in_line(f);
}

/* --- as a kind of flow --- */

/* What was kept of an ended command is not lost with a stop that comes at just that moment. */
static void leave_keeping(struct flow *f)
{
    struct skill_run *s = f->skill;
    struct ending *e = s->asking->arg;
    e->flow = NULL;
    if (executor_has_time(f->x)) {
        run_stopped_keeping(f, (struct keep_job *)s->asking, e->wallclock_ms, s->run_dir);
        s->run_dir = NULL;
    }
}

static void leave_asking(struct flow *f)
{
    struct skill_run *s = f->skill;
    if (s->asking && s->asking->done == on_kept)
        leave_keeping(f);
    else if (s->asking)
        s->asking->arg = NULL;
    s->asking = NULL;
}

static void leave_runner(struct flow *f)
{
    struct skill_run *s = f->skill;
    if (s->runner && executor_has_time(f->x))
        run_stopped(f, s->runner, s->run_dir);
    else if (s->runner)
        runner_abandon(s->runner, s->run_dir);
    else if (s->run_dir)
        runner_remove_folder(f->x, s->run_dir);
    s->runner = NULL;
    s->run_dir = NULL;
}

static void drop(struct flow *f)
{
    if (!f->skill)
        return;
    leave_asking(f);
    start_gate_leave(&f->skill->turn);
    leave_runner(f);
}

static bool in_the_middle(const struct flow *f)
{
    return f->skill && (f->skill->runner || f->skill->asking);
}

static void deadline(struct flow *f)
{
    flow_fail(f, REASON_TIMEOUT, "the run took longer than it may");
}

const struct flow_kind skill_kind = {
    .begin = begin,
    .drop = drop,
    .in_the_middle = in_the_middle,
    .deadline = deadline,
};

/* --- folders of the dead --- */

enum {
    SWEEP_MS = 5000,
    SWEEP_MAX = 256,
    /* Behind a run's end: its executor hears of a stop with its next beat at the latest, its command has its
     * grace, and its log is kept (run_stopped). */
    LINGER_MS = BEAT_MS + PATIENCE_MS,
};

struct sweep {
    struct executor *x;
    struct timer next;
};

struct sweep_job {
    struct job job; /* first */
    id ids[SWEEP_MAX];
    int attempts[SWEEP_MAX];
    bool live[SWEEP_MAX];
    size_t n;
};

static void sweep_work(struct job *job, struct writer_hands *hands)
{
    struct sweep_job *j = (struct sweep_job *)job;
    struct db_value *ids = talloc_array(j, struct db_value, j->n);
    struct db_rows *rows;
    int64_t now_ms = clock_wall_ms();
    for (size_t i = 0; i < j->n; i++)
        ids[i] = db_id(&j->ids[i]);
    job->e = db_run_each(hands->db, j, SQL_EXECUTOR_ATTEMPTS, NULL, 0, ids, 1, j->n, &rows);
    for (size_t r = 0; job->e == OK && r < rows->count; r++) {
        int64_t ended_ms = db_int(rows, r, 3);
        bool lingers = ended_ms > now_ms - LINGER_MS && ended_ms <= now_ms;
        bool stays = db_int(rows, r, 1) == STATE_RUNNING || lingers;
        for (size_t i = 0; i < j->n; i++)
            j->live[i] = j->live[i] || (stays && strcmp(j->ids[i].text, db_str(rows, r, 0)) == 0 &&
                                        db_int(rows, r, 2) == j->attempts[i]);
    }
}

static void on_swept(struct job *job)
{
    struct sweep_job *j = (struct sweep_job *)job;
    struct executor *x = job->arg;
    for (size_t i = 0; job->e == OK && i < j->n; i++) {
        char *dir =
            talloc_asprintf(j, "%s/%s.%d", x->config->executor.run_dir, j->ids[i].text, j->attempts[i]);
        if (!j->live[i])
            runner_remove_folder(x, dir);
    }
    talloc_free(j);
}

/* ID.ATTEMPT of a run that is not in our hands. */
static bool take_name(struct executor *x, const char *name, id *id_r, int *attempt_r)
{
    char *end;
    if (strlen(name) < ID_LENGTH + 2 || name[ID_LENGTH] != '.' || !id_parse(name, ID_LENGTH, id_r))
        return false;
    *attempt_r = (int)strtol(name + ID_LENGTH + 1, &end, 10);
    return *end == '\0' && !id_table_get(x->flows, id_r);
}

static void on_sweep(void *arg)
{
    struct sweep *s = arg;
    struct executor *x = s->x;
    DIR *dir = opendir(x->config->executor.run_dir);
    struct sweep_job *j = talloc_zero(NULL, struct sweep_job);
    struct dirent *entry;
    j->job = (struct job){.kind = JOB_CALL, .work = sweep_work, .done = on_swept, .arg = x};
    while (dir && j->n < SWEEP_MAX && (entry = readdir(dir)))
        j->n += take_name(x, entry->d_name, &j->ids[j->n], &j->attempts[j->n]);
    if (dir)
        closedir(dir);
    if (j->n > 0)
        writer_submit(x->writer, &j->job);
    else
        talloc_free(j);
    timer_set(x->timers, &s->next, clock_boot_ms() + SWEEP_MS);
}

static int sweep_destroy(struct sweep *s)
{
    timer_clear(s->x->timers, &s->next);
    return 0;
}

struct sweep *sweep_start(void *ctx, struct executor *x)
{
    struct sweep *s = talloc_zero(ctx, struct sweep);
    s->x = x;
    s->next = (struct timer){.fire = on_sweep, .arg = s};
    talloc_set_destructor(s, sweep_destroy);
    timer_set(x->timers, &s->next, clock_boot_ms());
    return s;
}
