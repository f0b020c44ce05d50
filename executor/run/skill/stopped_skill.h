/* The command of a run that was stopped. The run itself is freed at once. The command gets its grace time,
 * and its log and usage are recorded afterwards (usage_put_late). Until it has ended it occupies the run's
 * slot and uid. Only the shutdown of this process waits for it (exec->active_runners).
 *
 * If this process dies before that, or MariaDB is unreachable, the log is lost, and run_dir_sweep removes the
 * directory. Loop thread only. */
#pragma once

#include "executor/io/runner_process.h"
#include "executor/run/active_run.h"
#include "executor/run/skill/collect_outputs.h"
#include "executor/run/skill/warm_pool.h"

/* Takes over the run's runner (of a warm skill, too), its slot and its directory, and keeps `sandbox` while
 * the runner lives. The runner is asked to stop and gets its grace time. */
void stopped_skill_take_runner(struct active_run *run, struct cached_skill *skill,
                               struct sandbox_permit *sandbox, struct runner_process *r, const char *run_dir,
                               struct warm_worker *warm);
/* The command has ended already, and its outputs are being collected: takes over that job, the directory, and
 * `warm`, the process of a warm skill that has left them, which is ended afterwards (NULL: none). */
void stopped_skill_take_outputs(struct active_run *run, struct cached_skill *skill,
                                struct outputs_job *outputs, int64_t wallclock_ms, const char *run_dir,
                                struct warm_worker *warm);
