#include "executor/io/spawn_limiter.h"

#include <stddef.h>
#include <talloc.h>

#include "base/clock.h"

enum { TURN_MS = 500 };

struct start_gate {
    struct timers *timers;
    int free;
    struct start_turn *first, **last;
};

struct start_gate *start_gate_new(void *ctx, struct timers *timers, int width)
{
    struct start_gate *gate = talloc_zero(ctx, struct start_gate);
    gate->timers = timers;
    gate->free = width;
    gate->last = &gate->first;
    return gate;
}

static void unlink_turn(struct start_gate *gate, struct start_turn *turn)
{
    *turn->at = turn->next;
    if (turn->next)
        turn->next->at = turn->at;
    else
        gate->last = turn->at;
}

static void on_over(void *arg)
{
    start_gate_leave(arg);
}

static void let_in(struct start_gate *gate)
{
    while (gate->free > 0 && gate->first) {
        struct start_turn *turn = gate->first;
        unlink_turn(gate, turn);
        gate->free--;
        turn->in_turn = true;
        timer_set(gate->timers, &turn->over, clock_boot_ms() + TURN_MS);
        turn->go(turn->arg); /* may leave at once */
    }
}

void start_gate_enter(struct start_gate *gate, struct start_turn *turn)
{
    turn->gate = gate;
    turn->over = (struct timer){.fire = on_over, .arg = turn};
    turn->in_turn = false;
    turn->next = NULL;
    turn->at = gate->last;
    *gate->last = turn;
    gate->last = &turn->next;
    let_in(gate);
}

void start_gate_leave(struct start_turn *turn)
{
    struct start_gate *gate = turn->gate;
    if (!gate)
        return;
    turn->gate = NULL;
    if (turn->in_turn) {
        timer_clear(gate->timers, &turn->over);
        gate->free++;
    } else {
        unlink_turn(gate, turn);
    }
    let_in(gate);
}
