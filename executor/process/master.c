#include "executor/process/master.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "executor/lease/peers.h"
#include "executor/process/process.h"

enum {
    PROCESSES_MAX = 64,
    EARLY_EXIT_MS = 10000,
    RESTART_DELAY_MIN_MS = 100,
    RESTART_DELAY_MAX_MS = 30000,
    KILL_EXTRA_MS = 20000
};

struct executor_child {
    pid_t pid; /* 0: none */
    int64_t started_ms, start_at_ms, delay_ms;
};

struct master {
    void *ctx;
    const struct config *config;
    struct executor_child children[PROCESSES_MAX];
    struct peer_heartbeat *peers; /* a share for each child, which the next in its place goes on with */
    int count;
    bool stopping;
    int64_t kill_at_ms;
};

static void fork_process(struct master *m, struct executor_child *c)
{
    pid_t master = getpid();
    c->started_ms = clock_boot_ms();
    c->pid = fork();
    if (c->pid < 0) {
        log_error("master.fork", "errno=%d", errno);
        c->pid = 0;
        c->start_at_ms = c->started_ms + 1000;
        return;
    }
    if (c->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != master) /* it went before the line above */
        _exit(0);
    int index = (int)(c - m->children);
    int status = process_run(m->config, index, m->peers + (size_t)index * PEERS_MAX);
    talloc_free(m->ctx);
    exit(status);
}

static void start_due(struct master *m)
{
    for (int i = 0; i < m->count && !m->stopping; i++) {
        if (m->children[i].pid == 0 && m->children[i].start_at_ms <= clock_boot_ms())
            fork_process(m, &m->children[i]);
    }
}

static void on_process_exit(struct master *m, struct executor_child *c, int status)
{
    int64_t now_ms = clock_boot_ms();
    bool exited_early = now_ms - c->started_ms < EARLY_EXIT_MS;
    bool expected = m->stopping || (WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_FENCED);
    if (!exited_early || expected)
        c->delay_ms = 0;
    else
        c->delay_ms = c->delay_ms == 0 ? RESTART_DELAY_MIN_MS : c->delay_ms * 2;
    if (c->delay_ms > RESTART_DELAY_MAX_MS)
        c->delay_ms = RESTART_DELAY_MAX_MS;
    if (!m->stopping)
        log_warn("master.process_ended", "pid=%d status=%d signal=%d again_in_ms=%lld", (int)c->pid,
                 WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                 (long long)c->delay_ms);
    c->pid = 0;
    c->start_at_ms = now_ms + c->delay_ms;
}

static void reap_processes(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (int i = 0; i < m->count; i++) {
            if (m->children[i].pid == pid)
                on_process_exit(m, &m->children[i], status);
        }
    }
}

static int count_alive(const struct master *m)
{
    int n = 0;
    for (int i = 0; i < m->count; i++)
        n += m->children[i].pid > 0;
    return n;
}

static void signal_all(const struct master *m, int number)
{
    for (int i = 0; i < m->count; i++) {
        if (m->children[i].pid > 0)
            kill(m->children[i].pid, number);
    }
}

static void on_master_signal(struct master *m, int number)
{
    if (number == SIGTERM || number == SIGINT) {
        m->stopping = true;
        m->kill_at_ms = clock_boot_ms() + m->config->executor.grace_s * 1000 + KILL_EXTRA_MS;
        signal_all(m, SIGTERM);
    } else if (number == SIGHUP || number == SIGUSR1) {
        log_reopen();
        signal_all(m, number);
    }
}

static struct timespec until_next(const struct master *m)
{
    int64_t next_ms = m->stopping ? m->kill_at_ms : INT64_MAX;
    for (int i = 0; i < m->count && !m->stopping; i++) {
        if (m->children[i].pid == 0 && m->children[i].start_at_ms < next_ms)
            next_ms = m->children[i].start_at_ms;
    }
    int64_t left_ms = next_ms == INT64_MAX ? 3600000 : next_ms - clock_boot_ms();
    if (left_ms < 0)
        left_ms = 0;
    return (struct timespec){.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
}

int master_run(void *ctx, const struct config *config)
{
    struct master m = {.ctx = ctx, .config = config, .count = (int)config->executor.processes};
    sigset_t wanted;
    sigemptyset(&wanted);
    for (size_t i = 0; i < 5; i++)
        sigaddset(&wanted, (const int[]){SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}[i]);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    size_t bytes = sizeof *m.peers * PEERS_MAX * (size_t)m.count;
    m.peers = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m.peers == MAP_FAILED) {
        log_error("master.no_memory", "bytes=%zu", bytes);
        return 1;
    }
    log_info("master.started", "processes=%d", m.count);
    while (!m.stopping || count_alive(&m) > 0) {
        start_due(&m);
        struct timespec timeout = until_next(&m);
        int number = sigtimedwait(&wanted, NULL, &timeout);
        if (number > 0)
            on_master_signal(&m, number);
        reap_processes(&m);
        if (m.stopping && clock_boot_ms() >= m.kill_at_ms)
            signal_all(&m, SIGKILL);
    }
    munmap(m.peers, bytes);
    log_info("master.stopped", "processes=%d", m.count);
    return 0;
}
