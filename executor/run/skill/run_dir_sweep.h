/* Removes the directories of runs whose executor process died: every 5 s the directories in executor.run_dir
 * are compared with the runs in MariaDB. Runs in one process of each executor only. Loop thread only. */
#pragma once

#include "executor/context/executor.h"

struct run_dir_sweep;

/* Sweeps at once, and then every 5 s, until freed. */
struct run_dir_sweep *run_dir_sweep_start(void *ctx, struct executor *exec);
