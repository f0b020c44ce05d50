#include "executor/process/master.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <talloc.h>

#include "base/log.h"
#include "executor/io/sandbox_check.h"
#include "executor/lease/begun_run.h"
#include "executor/lease/peers.h"
#include "executor/process/log_copy.h"
#include "executor/process/process.h"
#include "service/state_dump.h"
#include "service/supervisor.h"

enum {
    EARLY_EXIT_MS = 10000,
    RESTART_DELAY_MAX_MS = 30000,
    /* a process releases its runs after executor.grace_s: time for that */
    KILL_EXTRA_MS = 20000
};

struct process_memory {
    struct peer_heartbeat peers[PEERS_MAX];
    struct begun_run begun_run;
};

struct master {
    void *ctx;
    const struct config *config;
    struct supervisor *supervisor;
    struct state_dump *state_dump;
    /* shared memory, one for each process; a restarted process continues with its predecessor's */
    struct process_memory *memory;
    bool stopping;
};

static int run_process(void *arg, int group, int slot)
{
    const struct master *m = arg;
    void *ctx = m->ctx;
    int status = process_run(m->config, slot, m->memory[slot].peers, &m->memory[slot].begun_run);
    talloc_free(ctx);
    return status;
}

/* A fenced process exits on purpose and is restarted at once. */
static bool process_exit_is_failure(void *arg, const struct supervisor_exit *exit)
{
    const struct master *m = arg;
    if (!WIFEXITED(exit->status))
        return true;
    return WEXITSTATUS(exit->status) != PROCESS_FENCED && (!m->stopping || WEXITSTATUS(exit->status) != 0);
}

/* The run that was being begun: others of the process are not known to be the cause. */
static bool log_process_death(void *arg, const char *event, const struct supervisor_exit *exit,
                              int64_t respawn_ms)
{
    const struct master *m = arg;
    const struct begun_run *begun = &m->memory[exit->slot].begun_run;
    if (!atomic_load(&begun->set))
        return false;
    log_error(event, SUPERVISOR_EXIT_FORMAT " execution=%s attempt=%d",
              SUPERVISOR_EXIT_ARGS(exit, respawn_ms), begun->run.text, begun->attempt);
    return true;
}

static void master_on_reload(void *arg)
{
    const struct master *m = arg;
    log_reopen();
    supervisor_signal_children(m->supervisor, SIGHUP);
}

static void master_on_stop(void *arg)
{
    struct master *m = arg;
    m->stopping = true;
}

static void master_on_state_dump(void *arg)
{
    const struct master *m = arg;
    state_dump_write(m->state_dump);
}

static const struct supervisor_callbacks master_callbacks = {.run_child = run_process,
                                                             .is_failure = process_exit_is_failure,
                                                             .log_death = log_process_death,
                                                             .on_reload = master_on_reload,
                                                             .on_stop = master_on_stop,
                                                             .on_state_dump = master_on_state_dump};

int master_run(void *ctx, const struct config *config)
{
    struct master *m = talloc_zero(ctx, struct master);
    int processes = (int)config->executor.processes;
    size_t bytes = sizeof *m->memory * (size_t)processes;
    struct supervisor_settings settings = {.child_name = "process",
                                           .early_exit_ms = EARLY_EXIT_MS,
                                           .delay_max_ms = RESTART_DELAY_MAX_MS,
                                           .grace_ms = config->executor.grace_s * 1000 + KILL_EXTRA_MS};
    m->ctx = ctx;
    m->config = config;
    log_copy_start_master(m, config);
    m->supervisor = supervisor_new(m, &settings, &master_callbacks, m);
    m->state_dump = state_dump_new(m);
    state_dump_add(m->state_dump, supervisor_log_state, m->supervisor);
    m->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m->memory == MAP_FAILED) {
        log_error("master.mmap_failed", "bytes=%zu", bytes);
        return EXIT_FAILURE;
    }
    if (*config->files.dir) /* without it no command runs */
        sandbox_check_start(config);
    /* one group for each process: the restart delay of one does not delay the others */
    for (int i = 0; i < processes; i++)
        supervisor_add_group(m->supervisor, i, i + 1, 1);
    log_info("master.started", "processes=%d", processes);
    supervisor_run(m->supervisor);
    munmap(m->memory, bytes);
    log_info("master.stopped", "processes=%d", processes);
    log_set_copy(NULL, NULL);
    return EXIT_SUCCESS;
}
