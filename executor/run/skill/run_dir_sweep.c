#include "executor/run/skill/run_dir_sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "executor/io/runner_process.h"
#include "executor/run/skill/skill_run.h"

enum {
    SWEEP_MS = 5000,
    /* directories looked up by one sweep */
    SWEEP_MAX = 256,
    /* A directory is kept for this long after the end of its run. Its executor learns of a stop by its next
     * heartbeat at the latest. Then the command gets its grace, and its log is stored (stopped_skill.h). */
    LINGER_MS = HEARTBEAT_MS + RUNNER_REPORT_MS,
    /* A runner locks the folder of its warm skill some microseconds after it was created. */
    WARM_UNLOCKED_S = 60,
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

/* ID.ATTEMPT, of a run that is not active in this process. */
static bool parse_run_dir_name(struct executor *exec, const char *name, id *id_r, int *attempt_r)
{
    char *end;
    if (strlen(name) < ID_LENGTH + 2 || name[ID_LENGTH] != '.' || !id_parse(name, ID_LENGTH, id_r))
        return false;
    *attempt_r = (int)strtol(name + ID_LENGTH + 1, &end, 10);
    return *end == '\0' && !id_map_get(exec->runs, id_r);
}

/* The folder of a warm skill's process whose runner has died: a living one holds its lock (docs/skills.md).
 */
static bool is_dead_warm_dir(int runs_fd, const char *name)
{
    struct stat st;
    if (strncmp(name, WARM_DIR_PREFIX, sizeof WARM_DIR_PREFIX - 1) != 0)
        return false;
    int fd = openat(runs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool dead = fd >= 0 && fstat(fd, &st) == 0 && st.st_mtime < time(NULL) - WARM_UNLOCKED_S &&
                flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0)
        close(fd);
    return dead;
}

static void remove_dead_warm_dir(struct executor *exec, const char *name)
{
    char *dir = talloc_asprintf(NULL, "%s/%s", exec->config->executor.run_dir, name);
    run_dir_remove(exec, dir);
    talloc_free(dir);
}

static void on_sweep(void *arg)
{
    struct run_dir_sweep *s = arg;
    struct executor *exec = s->exec;
    DIR *dir = opendir(exec->config->executor.run_dir);
    struct run_dir_sweep_job *j = talloc_zero(NULL, struct run_dir_sweep_job);
    struct dirent *entry;
    j->job = (struct job){.kind = JOB_CALL, .work = sweep_work, .done = on_swept, .arg = exec};
    while (dir && j->n < SWEEP_MAX && (entry = readdir(dir))) {
        if (is_dead_warm_dir(dirfd(dir), entry->d_name))
            remove_dead_warm_dir(exec, entry->d_name);
        j->n += parse_run_dir_name(exec, entry->d_name, &j->ids[j->n], &j->attempts[j->n]);
    }
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
