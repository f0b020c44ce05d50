#include "executor/run/turns.h"

#include <talloc.h>

#include "service/id_map.h"

TAILQ_HEAD(turn_queue, turn);

/* The time that a workspace has used and not paid for yet, and its runs that wait. */
struct workspace_turns {
    id workspace_id;
    int64_t spent_us;
    struct turn_queue queue;
    /* in the rotation while the queue is not empty */
    TAILQ_ENTRY(workspace_turns) link;
};

struct turns {
    struct timers *timers;
    int64_t (*now_us)(void);
    int64_t limit_us;
    /* struct workspace_turns of the workspaces that have used time or wait */
    struct id_map *workspaces;
    TAILQ_HEAD(turns_rotation, workspace_turns) rotation;
    struct timer next_round;
};

static void on_next_round(void *arg);

struct turns *turns_new(void *ctx, struct timers *timers, int64_t (*now_us)(void))
{
    struct turns *turns = talloc_zero(ctx, struct turns);
    turns->timers = timers;
    turns->now_us = now_us;
    turns->limit_us = INT64_MAX;
    turns->workspaces = id_map_new(turns);
    TAILQ_INIT(&turns->rotation);
    turns->next_round = (struct timer){.fire = on_next_round, .arg = turns};
    return turns;
}

void turns_limit(struct turns *turns, int64_t until_us)
{
    turns->limit_us = until_us;
}

static struct workspace_turns *turns_of(struct turns *turns, const id *workspace_id)
{
    struct workspace_turns *w = id_map_get(turns->workspaces, workspace_id);
    if (w)
        return w;
    w = talloc_zero(turns, struct workspace_turns);
    w->workspace_id = *workspace_id;
    TAILQ_INIT(&w->queue);
    id_map_put(turns->workspaces, &w->workspace_id, w);
    return w;
}

/* --- one run --- */

bool turn_begin(struct turn *turn)
{
    struct turns *turns = turn->turns;
    int64_t now_us = turns->now_us();
    int64_t left_us = TURN_US - turns_of(turns, &turn->workspace_id)->spent_us;
    if (left_us <= 0 || now_us >= turns->limit_us) {
        turn_request(turn);
        return false;
    }
    turn_cancel(turn);
    turn->began_us = now_us;
    turn->until_us = now_us + left_us < turns->limit_us ? now_us + left_us : turns->limit_us;
    return true;
}

bool turn_is_over(const struct turn *turn)
{
    return turn->turns->now_us() >= turn->until_us;
}

void turn_end(struct turn *turn)
{
    turn_charge(turn, turn->began_us);
}

void turn_charge(const struct turn *turn, int64_t began_us)
{
    struct turns *turns = turn->turns;
    turns_of(turns, &turn->workspace_id)->spent_us += turns->now_us() - began_us;
}

void turn_request(struct turn *turn)
{
    struct turns *turns = turn->turns;
    if (turn->queued_in)
        return;
    struct workspace_turns *w = turns_of(turns, &turn->workspace_id);
    if (TAILQ_EMPTY(&w->queue))
        TAILQ_INSERT_TAIL(&turns->rotation, w, link);
    TAILQ_INSERT_TAIL(&w->queue, turn, link);
    turn->queued_in = w;
    if (!timer_is_set(&turns->next_round))
        timer_set(turns->timers, &turns->next_round, turns->now_us() / 1000);
}

void turn_cancel(struct turn *turn)
{
    struct workspace_turns *w = turn->queued_in;
    if (!w)
        return;
    TAILQ_REMOVE(&w->queue, turn, link);
    turn->queued_in = NULL;
    if (TAILQ_EMPTY(&w->queue))
        TAILQ_REMOVE(&turn->turns->rotation, w, link);
}

/* --- rounds --- */

/* Every workspace gets the time of one round. What it has used beyond that, it pays for in the next rounds.
 */
static void begin_round(struct turns *turns)
{
    struct workspace_turns *w;
    size_t cursor = 0;
    while ((w = id_map_next(turns->workspaces, &cursor))) {
        w->spent_us = w->spent_us > TURN_US ? w->spent_us - TURN_US : 0;
        if (w->spent_us > 0 || !TAILQ_EMPTY(&w->queue))
            continue;
        id_map_remove(turns->workspaces, &w->workspace_id);
        talloc_free(w);
    }
}

/* The first workspace in the rotation that has time left, which becomes the last. NULL: none has, and a
 * further round follows at once. */
static struct workspace_turns *next_in_rotation(struct turns *turns)
{
    struct workspace_turns *w;
    TAILQ_FOREACH(w, &turns->rotation, link)
    {
        if (w->spent_us >= TURN_US)
            continue;
        TAILQ_REMOVE(&turns->rotation, w, link);
        TAILQ_INSERT_TAIL(&turns->rotation, w, link);
        return w;
    }
    return NULL;
}

/* Serves one workspace, and comes back after the other events of the loop. */
static void on_next_round(void *arg)
{
    struct turns *turns = arg;
    begin_round(turns);
    struct workspace_turns *w = next_in_rotation(turns);
    struct turn *turn;
    while (w && w->spent_us < TURN_US && (turn = TAILQ_FIRST(&w->queue))) {
        turn_cancel(turn);
        turn->on_turn(turn->arg);
    }
    if (!TAILQ_EMPTY(&turns->rotation) && !timer_is_set(&turns->next_round))
        timer_set(turns->timers, &turns->next_round, turns->now_us() / 1000);
}
