#include "executor/run/slots.h"

#include <talloc.h>

TAILQ_HEAD(slot_queue, slot);

struct slots {
    struct slot_pool pool;
    struct slot_queue queue;
    bool serving;
    /* runs without a slot: they have yielded or detached it, and have not acquired one since */
    int64_t yielded;
    int64_t max_yielded;
};

struct slots *slots_new(void *ctx, const struct slot_pool *pool, int64_t max_yielded)
{
    struct slots *slots = talloc_zero(ctx, struct slots);
    slots->pool = *pool;
    slots->max_yielded = max_yielded;
    TAILQ_INIT(&slots->queue);
    return slots;
}

static void grant_slot(struct slot *slot)
{
    slot->held = true;
    slot->slots->yielded--;
}

static void leave_queue(struct slot *slot)
{
    if (slot->queued)
        TAILQ_REMOVE(&slot->slots->queue, slot, link);
    slot->queued = false;
}

void slots_serve(struct slots *slots)
{
    struct slot *slot;
    /* not re-entrant: a run that is granted a slot may return it at once; the outer loop picks that up */
    if (slots->serving)
        return;
    slots->serving = true;
    while ((slot = TAILQ_FIRST(&slots->queue)) && slots->pool.take(slots->pool.arg)) {
        leave_queue(slot);
        grant_slot(slot);
        slot->on_granted(slot->arg);
    }
    slots->serving = false;
}

bool slot_acquire(struct slot *slot)
{
    struct slots *slots = slot->slots;
    if (slot->held)
        return true;
    if (TAILQ_EMPTY(&slots->queue) && slots->pool.take(slots->pool.arg)) {
        grant_slot(slot);
        return true;
    }
    if (!slot->queued)
        TAILQ_INSERT_TAIL(&slots->queue, slot, link);
    slot->queued = true;
    return false;
}

void slot_yield(struct slot *slot)
{
    if (slot->slots->yielded >= slot->slots->max_yielded)
        return;
    slot_detach(slot);
    slots_return_detached(slot->slots);
}

void slot_detach(struct slot *slot)
{
    slot->held = false;
    slot->slots->yielded++;
}

void slots_return_detached(struct slots *slots)
{
    slots->pool.put_back(slots->pool.arg);
    slots_serve(slots);
}

void slot_leave(struct slot *slot)
{
    leave_queue(slot);
    if (slot->held)
        slot->slots->pool.put_back(slot->slots->pool.arg);
    else
        slot->slots->yielded--;
    slot->held = false;
}
