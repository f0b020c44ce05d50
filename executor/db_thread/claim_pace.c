#include "executor/db_thread/claim_pace.h"

static const double reduced = 0.7, raised = 7.0 / 6.0;

void claim_pace_init(struct claim_pace *p, int64_t latency_max_ms, int64_t queue_age_max_s)
{
    *p = (struct claim_pace){.latency_max_us = latency_max_ms * 1000,
                             .age_max_ms = queue_age_max_s * 1000 / 2};
}

bool claim_pace_is_active(const struct claim_pace *p, int64_t now_ms)
{
    return p->latency_max_us > 0 && p->latency_us > 0 && now_ms - p->reported_ms <= CLAIM_PACE_REPORT_MS;
}

void claim_pace_report(struct claim_pace *p, int64_t latency_us, int64_t now_ms)
{
    if (!claim_pace_is_active(p, now_ms)) { /* the first one of a time of load */
        p->tick_ms = p->step_ms = now_ms;
        p->claimed = 0;
        p->begins = true;
    }
    p->latency_us = latency_us;
    p->reported_ms = now_ms;
    if (latency_us > p->worst_us)
        p->worst_us = latency_us;
}

int64_t claim_pace_queue_age(const struct claim_pace *p)
{
    return p->oldest_ms[0] > p->oldest_ms[1] ? p->oldest_ms[0] : p->oldest_ms[1];
}

static void note_age(struct claim_pace *p, int64_t oldest_ms, int64_t now_ms)
{
    if (now_ms - p->aged_ms >= CLAIM_PACE_AGE_MS) {
        p->oldest_ms[1] = now_ms - p->aged_ms < 2 * CLAIM_PACE_AGE_MS ? p->oldest_ms[0] : 0;
        p->oldest_ms[0] = 0;
        p->aged_ms = now_ms;
    }
    if (oldest_ms > p->oldest_ms[0])
        p->oldest_ms[0] = oldest_ms;
}

static void release(struct claim_pace *p)
{
    p->limited = false;
    p->carry = 0;
}

/* Changes the rate by what was reported since the last step. */
static void step(struct claim_pace *p, int64_t now_ms)
{
    double seen = (double)p->claimed * 1000 / (double)(now_ms - p->step_ms);
    bool above = p->worst_us > p->latency_max_us;
    if (above)
        p->rate = (p->limited && p->rate < seen ? p->rate : seen) * reduced;
    else
        p->rate *= raised;
    if (p->rate < CLAIM_PACE_LEAST)
        p->rate = CLAIM_PACE_LEAST;
    if (above)
        p->limited = true;
    else if (p->rate > 2 * seen + 2 * CLAIM_PACE_LEAST)
        release(p); /* fewer runs come than the rate permits */
    p->worst_us = 0;
    p->claimed = 0;
    p->step_ms = now_ms;
}

/* What was not claimed is kept for a while: a transaction that takes longer than a tick is counted late, and
 * would otherwise reduce the rate to its own claims. */
static void save(struct claim_pace *p, int64_t claimed, int64_t ms)
{
    double most = p->rate * CLAIM_PACE_KEPT_MS / 1000;
    p->carry = p->carry > (double)claimed ? p->carry - (double)claimed : 0;
    p->carry += p->rate * (double)ms / 1000;
    if (p->carry > most)
        p->carry = most;
}

int claim_pace_allow(struct claim_pace *p, int64_t claimed, int64_t oldest_ms, int64_t now_ms)
{
    if (p->begins)
        claimed = oldest_ms = 0; /* since the last time of load, which may be long ago */
    p->begins = false;
    note_age(p, oldest_ms, now_ms);
    p->claimed += claimed;
    bool was_limited = p->limited;
    if (!claim_pace_is_active(p, now_ms))
        p->worst_us = 0;
    if (!claim_pace_is_active(p, now_ms) || claim_pace_queue_age(p) >= p->age_max_ms)
        release(p);
    else if (p->worst_us > 0 && now_ms - p->step_ms >= CLAIM_PACE_STEP_MS)
        step(p, now_ms);
    int64_t ms = now_ms - p->tick_ms;
    p->tick_ms = now_ms;
    if (!p->limited)
        return -1;
    save(p, was_limited ? claimed : 0, ms < CLAIM_PACE_STEP_MS ? ms : CLAIM_PACE_STEP_MS);
    return (int)p->carry;
}
