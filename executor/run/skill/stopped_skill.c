#include "executor/run/skill/stopped_skill.h"

#include <talloc.h>

#include "base/log.h"
#include "executor/io/disk_thread.h"
#include "executor/run/skill/collect_outputs.h"
#include "json/json.h"

struct stopped {
    struct executor *x;
    struct cached_skill *skill; /* a reference */
    id run;
    int attempt;
    int64_t wallclock_ms;
    const char *run_dir;
};

struct note_job {
    struct job job; /* first; its arg is the executor */
    id run;
    int attempt;
    struct usage usage;
    struct keep_job *kept; /* ours: its blobs are held until their rows are there */
};

static int stopped_destroy(struct stopped *s)
{
    skills_unref(s->skill);
    return 0;
}

static enum err put(struct db_tx *tx, void *arg)
{
    const struct note_job *j = arg;
    return usage_put_late(tx, &j->run, j->attempt, &j->usage, j->kept->artifacts,
                          j->kept->failed ? 0 : j->kept->artifacts_n);
}

static void note_work(struct job *job, struct writer_hands *hands)
{
    job->e = db_transaction(hands->db, put, job);
}

static void on_noted(struct job *job)
{
    struct note_job *j = (struct note_job *)job;
    struct executor *x = job->arg;
    if (job->e != OK)
        log_warn("skill.log_lost", "execution=%s error=%s", j->run.text, err_name(job->e));
    talloc_free(j);
    x->runners--;
    x->changed(x);
}

static void note(const struct stopped *s, struct keep_job *kept)
{
    struct note_job *j = talloc_zero(NULL, struct note_job);
    *j = (struct note_job){
        .job = {.kind = JOB_CALL, .work = note_work, .done = on_noted, .arg = s->x},
        .run = s->run,
        .attempt = s->attempt,
        .usage = {.has_wallclock = true,
                  .wallclock_ms = s->wallclock_ms,
                  .has_log = kept->has_log && !kept->failed,
                  .log = kept->log},
        .kept = talloc_steal(j, kept),
    };
    writer_submit(s->x->writer, &j->job);
}

static void on_kept(struct job *job)
{
    struct keep_job *kept = (struct keep_job *)job;
    struct stopped *s = job->arg;
    note(s, kept);
    runner_remove_folder(s->x, s->run_dir);
    talloc_free(s);
}

static void keep(struct stopped *s, struct keep_job *kept, int64_t wallclock_ms)
{
    s->wallclock_ms = wallclock_ms;
    kept->job.done = on_kept;
    kept->job.arg = s;
}

static void on_ended(void *arg, json_object *record)
{
    struct stopped *s = arg;
    struct keep_job *kept = keep_job_new(s->x, s->skill, s->run_dir, NULL);
    keep(s, kept, json_object_get_int64(json_get(record, "wallclock_ms")));
    disk_submit(s->x->disk, &kept->job);
    flow_return_slot(s->x);
}

static struct stopped *stopped_new(struct flow *f, const char *run_dir)
{
    struct stopped *s = talloc_zero(f->x->processes, struct stopped);
    s->x = f->x;
    s->skill = skills_ref(f->cached_skill);
    s->run = f->run.id;
    s->attempt = f->run.attempt;
    s->run_dir = talloc_strdup(s, run_dir);
    talloc_set_destructor(s, stopped_destroy);
    s->x->runners++;
    return s;
}

void run_stopped(struct flow *f, struct runner *r, const char *run_dir)
{
    static const struct runner_events events = {.ended = on_ended};
    flow_leave_slot(f);
    runner_hand_over(r, &events, stopped_new(f, run_dir));
    runner_stop(r, false);
}

void run_stopped_keeping(struct flow *f, struct keep_job *kept, int64_t wallclock_ms, const char *run_dir)
{
    keep(stopped_new(f, run_dir), kept, wallclock_ms);
}
