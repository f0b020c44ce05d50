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
    /* of all runs, and of what else the process has */
    struct memory_budget *memory;
};

struct slots *slots_new(void *ctx, const struct slot_pool *pool, int64_t max_yielded, size_t max_bytes,
                        struct memory_budget *memory)
{
    struct slots *slots = talloc_zero(ctx, struct slots);
    slots->pool = *pool;
    slots->max_yielded = max_yielded;
    slots->max_bytes = max_bytes;
    slots->memory = memory;
    TAILQ_INIT(&slots->queue);
    return slots;
}

bool slots_memory_is_scarce(const struct slots *slots)
{
    return slots->bytes > slots->max_bytes / 2 || memory_budget_is_scarce(slots->memory);
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
}

/* Takes a slot of the pool and the memory that the run needs with it. */
static bool take_slot(struct slot *slot)
{
    struct slots *slots = slot->slots;
    size_t held = slot->held_bytes > slot->bytes ? slot->held_bytes : slot->bytes;
    if (!memory_budget_resume(slots->memory, slot->bytes, held))
        return false;
    if (!slots->pool.take(slots->pool.arg)) {
        memory_budget_suspend(slots->memory, held, slot->bytes);
        return false;
    }
    slot->held = true;
    count_no_more(slot);
    slot->bytes = held;
    return true;
}

static void leave_queue(struct slot *slot)
{
    if (!slot->queued)
        return;
    TAILQ_REMOVE(&slot->slots->queue, slot, link);
    slot->queued = false;
    memory_budget_unreserve(slot->slots->memory);
}

void slots_serve(struct slots *slots)
{
    struct slot *slot;
    /* not re-entrant: a run that is granted a slot may return it at once; the outer loop picks that up */
    if (slots->serving)
        return;
    slots->serving = true;
    while ((slot = TAILQ_FIRST(&slots->queue)) && take_slot(slot)) {
        leave_queue(slot);
        slot->on_granted(slot->arg);
    }
    slots->serving = false;
}

bool slot_acquire(struct slot *slot)
{
    struct slots *slots = slot->slots;
    if (slot->held)
        return true;
    if (TAILQ_EMPTY(&slots->queue) && take_slot(slot))
        return true;
    if (!slot->queued)
        TAILQ_INSERT_TAIL(&slots->queue, slot, link);
    slot->queued = true;
    return false;
}

void slot_yield(struct slot *slot)
{
    const struct slots *slots = slot->slots;
    if (slots->yielded >= slots->max_yielded || slots->bytes + slot->waiting_bytes > slots->max_bytes)
        return;
    slot_detach(slot);
    slots_return_detached(slot->slots);
}

void slot_detach(struct slot *slot)
{
    memory_budget_suspend(slot->slots->memory, slot->bytes, slot->waiting_bytes);
    slot->bytes = slot->waiting_bytes;
    slot->held = false;
    count_without_slot(slot);
}

void slot_add_bytes(struct slot *slot, size_t bytes)
{
    if (slot->held)
        return;
    slot->bytes += bytes;
    slot->held_bytes += bytes;
    slot->slots->bytes += bytes;
    memory_budget_add(slot->slots->memory, bytes);
}

void slot_raise_bytes(struct slot *slot, size_t bytes)
{
    if (!slot->held || bytes <= slot->bytes)
        return;
    memory_budget_add(slot->slots->memory, bytes - slot->bytes);
    slot->bytes = bytes;
}

void slots_return_detached(struct slots *slots)
{
    slots->pool.put_back(slots->pool.arg);
    slots_serve(slots);
}

void slot_leave(struct slot *slot)
{
    leave_queue(slot);
    if (slot->held) {
        memory_budget_leave(slot->slots->memory, slot->bytes);
        slot->slots->pool.put_back(slot->slots->pool.arg);
    } else {
        count_no_more(slot);
        memory_budget_return(slot->slots->memory, slot->bytes);
    }
    slot->bytes = 0;
    slot->held = false;
}
