/* Who may start a command now: few at a time, in order. Starting one costs milliseconds of a core
 * (namespaces, mounts, two programs); a hundred that start at once on two cores all take a second, are
 * sampled all the while, and end no earlier than in turn. A turn is over with the command's start or its end,
 * and counts no longer than TURN_MS, so that a folder that is slow to stage holds up nobody for long. Loop
 * thread only. */
#pragma once

#include <stdbool.h>

#include "service/timers.h"

struct start_gate;

/* Lives inside what wants to start; start_gate_leave before that goes. */
struct start_turn {
    void (*go)(void *arg);
    void *arg;
    struct start_gate *gate; /* NULL: neither in line nor in turn */
    struct start_turn *next, **at;
    struct timer over;
    bool in_turn;
};

/* At most `width` in their turn. */
struct start_gate *start_gate_new(void *ctx, struct timers *timers, int width);
/* Gets in line; `go` is called when it is its turn, from here where that is now. */
void start_gate_enter(struct start_gate *gate, struct start_turn *turn);
/* Its turn is over, or it does not want to start any more; nothing where there is no turn. The next may be
 * called from here. */
void start_gate_leave(struct start_turn *turn);
