/* The command of a run that was stopped: it gets its grace, and what it has written to its log is kept. Until
 * it has ended it has the run's slot, and with that its uid. Nobody waits for it but the process's own end.
 * Where that dies meanwhile, or MariaDB is away, the log is lost, and the folder goes with the sweep. Loop
 * thread only. */
#pragma once

#include "executor/io/runner_process.h"
#include "executor/run/active_run.h"
#include "executor/run/skill/collect_outputs.h"

/* Takes over the flow's runner, which is told to stop softly, its slot, and the folder. */
void stopped_skill_take_runner(struct active_run *run, struct cached_skill *skill, struct runner_process *r,
                               const char *run_dir);
/* Its command has ended by itself, and what it left is being kept already: takes over the job and the folder.
 */
void stopped_skill_take_outputs(struct active_run *run, struct cached_skill *skill,
                                struct outputs_job *outputs, int64_t wallclock_ms, const char *run_dir);
