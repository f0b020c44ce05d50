#include "executor/run/skill/stopped_skill.h"

#include <talloc.h>

#include "base/log.h"
#include "executor/run/skill/collect_outputs.h"
#include "json/json.h"

struct stopped_skill {
    struct executor *exec;
    /* a reference */
    struct cached_skill *skill;
    /* a reference, while the runner lives; NULL: it has ended */
    struct sandbox_permit *sandbox;
    id run;
    int attempt;
    int64_t wallclock_ms;
    const char *run_dir;
    /* NULL: the skill is not warm, or its process has exited */
    struct warm_worker *warm;
};

struct late_usage_job {
    /* first; its arg is the executor */
    struct job job;
    id run;
    int attempt;
    struct usage usage;
    /* a talloc child */
    struct outputs_job *outputs;
    /* removed once the row names the stored log: until then the API reads the log there */
    const char *run_dir;
};

static int stopped_skill_destroy(struct stopped_skill *s)
{
    cached_skill_unref(s->skill);
    sandbox_permit_unref(s->sandbox);
    return 0;
}

static enum err put_late_usage(struct db_tx *tx, void *arg)
{
    const struct late_usage_job *j = arg;
    return usage_put_late(tx, &j->run, j->attempt, &j->usage, j->outputs->artifacts,
                          j->outputs->failed ? 0 : j->outputs->artifacts_n);
}

static void late_usage_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    job->e = db_transaction(thread_ctx->db, put_late_usage, job);
}

static void on_late_usage_written(struct job *job)
{
    struct late_usage_job *j = (struct late_usage_job *)job;
    struct executor *exec = job->arg;
    if (job->e != OK)
        log_warn("skill.usage_write_failed", "execution=%s error=%s", j->run.text, err_name(job->e));
    run_dir_remove(exec, j->run_dir);
    talloc_free(j);
    exec->active_runners--;
    exec->on_work_ended(exec);
}

static void submit_late_usage(const struct stopped_skill *s, struct outputs_job *outputs)
{
    struct late_usage_job *j = talloc_zero(NULL, struct late_usage_job);
    *j = (struct late_usage_job){
        .job = {.kind = JOB_CALL, .work = late_usage_work, .done = on_late_usage_written, .arg = s->exec},
        .run = s->run,
        .attempt = s->attempt,
        .usage = {.has_wallclock = true,
                  .wallclock_ms = s->wallclock_ms,
                  .has_log = outputs->has_log && !outputs->failed,
                  .log = outputs->log},
        .outputs = talloc_steal(j, outputs),
        .run_dir = talloc_strdup(j, s->run_dir),
    };
    db_thread_submit(s->exec->db_thread, &j->job);
}

static void on_stopped_outputs_collected(struct outputs_job *outputs)
{
    struct stopped_skill *s = outputs->arg;
    submit_late_usage(s, outputs);
    warm_worker_give_back(s->warm, false);
    talloc_free(s);
}

static void attach_outputs_job(struct stopped_skill *s, struct outputs_job *outputs, int64_t wallclock_ms)
{
    s->wallclock_ms = wallclock_ms;
    outputs->collected = on_stopped_outputs_collected;
    outputs->arg = s;
}

static void on_stopped_command_ended(void *arg, json_object *record)
{
    struct stopped_skill *s = arg;
    struct outputs_job *outputs = outputs_job_new(s->exec, s->skill, s->run_dir, s->run_dir, NULL);
    if (!record)
        warm_worker_forget(s->warm);
    s->warm = record ? s->warm : NULL;
    attach_outputs_job(s, outputs, json_object_get_int64(json_get(record, "wallclock_ms")));
    outputs_job_submit(s->exec, outputs);
    sandbox_permit_unref(s->sandbox);
    s->sandbox = NULL;
    slots_return_detached(s->exec->slots);
}

static struct stopped_skill *stopped_skill_new(struct active_run *run, struct cached_skill *skill,
                                               const char *run_dir)
{
    struct stopped_skill *s = talloc_zero(run->exec->process_ctx, struct stopped_skill);
    s->exec = run->exec;
    s->skill = cached_skill_ref(skill);
    s->run = run->row.id;
    s->attempt = run->row.attempt;
    s->run_dir = talloc_strdup(s, run_dir);
    talloc_set_destructor(s, stopped_skill_destroy);
    s->exec->active_runners++;
    return s;
}

void stopped_skill_take_runner(struct active_run *run, struct cached_skill *skill,
                               struct sandbox_permit *sandbox, struct runner_process *r, const char *run_dir,
                               struct warm_worker *warm)
{
    static const struct runner_process_events events = {.ended = on_stopped_command_ended};
    struct stopped_skill *s = stopped_skill_new(run, skill, run_dir);
    s->sandbox = sandbox_permit_ref(sandbox);
    s->warm = warm;
    slot_detach(&run->slot);
    runner_process_set_events(r, &events, s);
    runner_process_stop(r, false);
}

void stopped_skill_take_outputs(struct active_run *run, struct cached_skill *skill,
                                struct outputs_job *outputs, int64_t wallclock_ms, const char *run_dir,
                                struct warm_worker *warm)
{
    struct stopped_skill *s = stopped_skill_new(run, skill, run_dir);
    s->warm = warm;
    attach_outputs_job(s, outputs, wallclock_ms);
}
