#include "service/progress.h"

#include <string.h>

static void store_run(struct progress *p, const id *run)
{
    uint64_t words[PROGRESS_RUN_WORDS] = {0};
    if (run)
        memcpy(words, run, sizeof *run);
    for (int i = 0; i < PROGRESS_RUN_WORDS; i++)
        atomic_store_explicit(&p->run[i], words[i], memory_order_relaxed);
}

void progress_begin(struct progress *p, const char *doing, const id *run)
{
    store_run(p, run);
    atomic_store_explicit(&p->doing, doing, memory_order_relaxed);
    progress_step(p);
}

void progress_step(struct progress *p)
{
    atomic_fetch_add_explicit(&p->steps, 1, memory_order_release);
}

void progress_idle(struct progress *p)
{
    progress_begin(p, NULL, NULL);
}

struct progress_seen progress_look(struct progress *p)
{
    uint64_t words[PROGRESS_RUN_WORDS];
    struct progress_seen seen = {.steps = atomic_load_explicit(&p->steps, memory_order_acquire)};
    seen.doing = atomic_load_explicit(&p->doing, memory_order_relaxed);
    for (int i = 0; i < PROGRESS_RUN_WORDS; i++)
        words[i] = atomic_load_explicit(&p->run[i], memory_order_relaxed);
    memcpy(&seen.run, words, sizeof seen.run);
    seen.run.text[sizeof seen.run.text - 1] = '\0';
    return seen;
}

static enum stall_event stall_end(struct stall *s, int64_t *stalled_ms_r)
{
    bool reported = s->reported;
    *stalled_ms_r = s->stalled_ms;
    s->stalled_ms = 0;
    s->reported = false;
    return reported ? STALL_ENDED : STALL_NONE;
}

enum stall_event stall_observe(struct stall *s, const struct stall_limits *limits,
                               const struct progress_seen *seen, int64_t elapsed_ms, int64_t *stalled_ms_r)
{
    if (seen->steps != s->steps || !seen->doing) {
        s->steps = seen->steps;
        return stall_end(s, stalled_ms_r);
    }
    s->stalled_ms += elapsed_ms < limits->look_max ? elapsed_ms : limits->look_max;
    *stalled_ms_r = s->stalled_ms;
    if (s->stalled_ms >= limits->dead)
        return STALL_DEAD;
    if (s->stalled_ms < limits->report || s->reported)
        return STALL_NONE;
    s->reported = true;
    return STALL_BEGAN;
}
