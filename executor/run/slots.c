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
    /* of these runs */
    size_t bytes;
    size_t max_bytes;
};

struct slots *slots_new(void *ctx, const struct slot_pool *pool, int64_t max_yielded, size_t max_bytes)
{
    struct slots *slots = talloc_zero(ctx, struct slots);
    slots->pool = *pool;
    slots->max_yielded = max_yielded;
    slots->max_bytes = max_bytes;
    TAILQ_INIT(&slots->queue);
    return slots;
}

bool slots_memory_is_scarce(const struct slots *slots)
{
    return slots->bytes > slots->max_bytes / 2;
}

size_t slots_bytes(const struct slots *slots)
{
    return slots->bytes;
}

static void count_without_slot(struct slot *slot)
{
    slot->slots->yielded++;
    slot->slots->bytes += slot->bytes;
}

static void count_no_more(struct slot *slot)
{
    slot->slots->yielded--;
    slot->slots->bytes -= slot->bytes;
    slot->bytes = 0;
}

static void grant_slot(struct slot *slot)
{
    slot->held = true;
    count_no_more(slot);
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
    const struct slots *slots = slot->slots;
    if (slots->yielded >= slots->max_yielded || slots->bytes + slot->bytes > slots->max_bytes)
        return;
    slot_detach(slot);
    slots_return_detached(slot->slots);
}

void slot_detach(struct slot *slot)
{
    slot->held = false;
    count_without_slot(slot);
}

void slot_add_bytes(struct slot *slot, size_t bytes)
{
    if (slot->held)
        return;
    slot->bytes += bytes;
    slot->slots->bytes += bytes;
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
        count_no_more(slot);
    slot->held = false;
}
