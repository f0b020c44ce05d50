#include "service/worker_step.h"

#include "base/log.h"

bool worker_step_is_due(const struct worker_step *s, int64_t now_ms)
{
    return now_ms >= s->rests_until_ms;
}

static int64_t pause_ms(const struct worker_step *s, enum err e)
{
    int64_t pause = WORKER_STEP_PAUSE_MS;
    if (err_is_transient(e))
        return pause;
    for (unsigned i = 1; i < s->failures && pause < WORKER_STEP_PAUSE_MAX_MS; i++)
        pause *= 2;
    return pause < WORKER_STEP_PAUSE_MAX_MS ? pause : WORKER_STEP_PAUSE_MAX_MS;
}

static bool is_worth_a_line(const struct worker_step *s, enum err e)
{
    bool is_power_of_two = (s->failures & (s->failures - 1)) == 0;
    return !err_is_transient(e) || (s->failures >= WORKER_STEP_TRANSIENT_MAX && is_power_of_two);
}

static void recover(struct worker_step *s)
{
    if (s->is_logged)
        log_info("worker.step_recovered", "worker=%s step=%s failures=%u", s->worker, s->name, s->failures);
    s->failures = 0;
    s->is_logged = false;
    s->rests_until_ms = 0;
}

void worker_step_end(struct worker_step *s, enum err e, int64_t now_ms)
{
    if (e == OK) {
        recover(s);
        return;
    }
    s->failures += s->failures < UINT32_MAX;
    int64_t pause = pause_ms(s, e);
    s->rests_until_ms = now_ms + pause;
    if (!is_worth_a_line(s, e))
        return;
    s->is_logged = true;
    log_error("worker.step_failed", "worker=%s step=%s error=%s failures=%u pause_ms=%lld", s->worker,
              s->name, err_name(e), s->failures, (long long)pause);
}
