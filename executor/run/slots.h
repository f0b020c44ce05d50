/* The slots of one executor process and the queue of runs that wait for one.
 *
 * A slot permits one run to occupy the process (executor.max_active of them). The pool of free slots belongs
 * to the database thread, which claims as many runs as there are free slots. A claimed run holds a slot from
 * its claim on. It may yield the slot while it only waits, and must acquire one again before it continues.
 * Runs that wait for a slot are served in the order in which they asked, and before new claims.
 *
 * A struct slot lives inside its run; slot_leave must be called before the run is freed. Loop thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/memory_budget.h"

struct slots;

/* Where free slots are taken from and returned to: the database thread; a counter in tests. */
struct slot_pool {
    /* False: no slot is free. */
    bool (*take)(void *arg);
    void (*put_back)(void *arg);
    void *arg;
};

struct slot {
    struct slots *slots;
    /* Called when a queued slot becomes free. The callback may leave, yield or acquire. */
    void (*on_granted)(void *arg);
    void *arg;
    bool held;
    bool queued;
    /* Memory of the run that is counted now, by estimate. A run that was admitted sets it. */
    size_t bytes;
    /* Set by the owner before slot_yield: what the run takes without a slot, and once it has one again. */
    size_t waiting_bytes, held_bytes;
    TAILQ_ENTRY(slot) link;
};

/* `pool` is copied. At most `max_yielded` runs may be without a slot at one time, and their memory together
 * is at most `max_bytes`. `memory` counts the runs with and without a slot; NULL: no limit. */
struct slots *slots_new(void *ctx, const struct slot_pool *pool, int64_t max_yielded, size_t max_bytes,
                        struct memory_budget *memory);
/* The runs without a slot take more than half of max_bytes, or all memory that is counted is more than half
 * of what there is. */
bool slots_memory_is_scarce(const struct slots *slots);
/* Memory of the runs without a slot. */
size_t slots_bytes(const struct slots *slots);

/* True: the slot is held, possibly only now. False: no slot or no memory is free; the slot is queued, and
 * on_granted will be called. */
bool slot_acquire(struct slot *slot);
/* Returns the slot to the pool, which may call on_granted of others. Nothing happens, and the slot is kept,
 * where max_yielded runs are without a slot already, or where they would take more than max_bytes. */
void slot_yield(struct slot *slot);
/* Takes the slot away from its run without returning it to the pool: it stays occupied by what the run has
 * left behind, until slots_return_detached. */
void slot_detach(struct slot *slot);
/* Returns a slot that no run holds: a detached one, or that of a claim which was not written. */
void slots_return_detached(struct slots *slots);

/* What a run without a slot holds has grown by so many bytes. */
void slot_add_bytes(struct slot *slot, size_t bytes);
/* What a run with a slot takes has grown to so many bytes, if they are more than are counted. */
void slot_raise_bytes(struct slot *slot, size_t bytes);

/* The run ends: its slot leaves the queue, and a slot that it holds returns to the pool. Nobody is called
 * from here; call slots_serve after the run was freed. */
void slot_leave(struct slot *slot);
/* Grants free slots to those that wait. */
void slots_serve(struct slots *slots);
