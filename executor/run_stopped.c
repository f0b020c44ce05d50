#include "executor/run_stopped.h"

#include <talloc.h>

#include "core/json.h"
#include "core/log.h"
#include "executor/disk.h"
#include "executor/keep.h"

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
};

static int stopped_destroy(struct stopped *s)
{
    skills_unref(s->skill);
    return 0;
}

static void note_work(struct job *job, struct writer_hands *hands)
{
    struct note_job *j = (struct note_job *)job;
    job->e = usage_put_stopped(hands->db, j, &j->run, j->attempt, &j->usage);
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
    };
    talloc_steal(j, kept->hold);
    writer_submit(s->x->writer, &j->job);
}

static void on_kept(struct job *job)
{
    struct keep_job *kept = (struct keep_job *)job;
    struct stopped *s = job->arg;
    note(s, kept);
    runner_remove_folder(s->x, s->run_dir);
    talloc_free(s);
    talloc_free(kept);
}

static void on_ended(void *arg, json_object *record)
{
    struct stopped *s = arg;
    struct keep_job *kept = keep_job_new(s->x, s->skill, s->run_dir, NULL);
    s->wallclock_ms = json_object_get_int64(json_get(record, "wallclock_ms"));
    kept->job.done = on_kept;
    kept->job.arg = s;
    disk_submit(s->x->disk, &kept->job);
}

void run_stopped(struct executor *x, struct runner *r, struct cached_skill *skill, const id *run, int attempt,
                 const char *run_dir)
{
    static const struct runner_events events = {.ended = on_ended};
    struct stopped *s = talloc_zero(x->processes, struct stopped);
    s->x = x;
    s->skill = skills_ref(skill);
    s->run = *run;
    s->attempt = attempt;
    s->run_dir = talloc_strdup(s, run_dir);
    talloc_set_destructor(s, stopped_destroy);
    x->runners++;
    runner_hand_over(r, &events, s);
    runner_stop(r, false);
}
