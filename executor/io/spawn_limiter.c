#include "executor/io/spawn_limiter.h"

#include <talloc.h>

#include "base/clock.h"

enum { OVERDUE_MS = 500 };

TAILQ_HEAD(spawn_tickets, spawn_ticket);

struct spawn_limiter {
    struct timers *timers;
    /* in_time_n: the granted ones that are not overdue */
    int limit, in_time_n;
    struct spawn_tickets queued, granted;
};

struct spawn_limiter *spawn_limiter_new(void *ctx, struct timers *timers, int limit)
{
    struct spawn_limiter *limiter = talloc_zero(ctx, struct spawn_limiter);
    limiter->timers = timers;
    limiter->limit = limit;
    TAILQ_INIT(&limiter->queued);
    TAILQ_INIT(&limiter->granted);
    return limiter;
}

static int granted_to(const struct spawn_limiter *limiter, const id *workspace)
{
    int n = 0;
    for (struct spawn_ticket *t = TAILQ_FIRST(&limiter->granted); t; t = TAILQ_NEXT(t, link))
        n += id_equal(&t->workspace, workspace);
    return n;
}

/* NULL: none may be granted now. There are at most as many as slots for commands. */
static struct spawn_ticket *next_ticket(const struct spawn_limiter *limiter)
{
    struct spawn_ticket *next = NULL;
    int fewest = limiter->limit;
    if (limiter->in_time_n > limiter->limit)
        return NULL;
    for (struct spawn_ticket *t = TAILQ_FIRST(&limiter->queued); t && fewest > 0; t = TAILQ_NEXT(t, link)) {
        int n = granted_to(limiter, &t->workspace);
        if (n < fewest) {
            fewest = n;
            next = t;
        }
    }
    return limiter->in_time_n < limiter->limit || fewest == 0 ? next : NULL;
}

static void grant_tickets(struct spawn_limiter *limiter)
{
    for (struct spawn_ticket *t; (t = next_ticket(limiter));) {
        TAILQ_REMOVE(&limiter->queued, t, link);
        TAILQ_INSERT_TAIL(&limiter->granted, t, link);
        limiter->in_time_n++;
        t->granted = true;
        timer_set(limiter->timers, &t->overdue_timer, clock_boot_ms() + OVERDUE_MS);
        t->on_granted(t->arg); /* may leave at once */
    }
}

static void on_overdue(void *arg)
{
    struct spawn_ticket *ticket = arg;
    ticket->overdue = true;
    ticket->limiter->in_time_n--;
    grant_tickets(ticket->limiter);
}

void spawn_limiter_acquire(struct spawn_limiter *limiter, struct spawn_ticket *ticket)
{
    ticket->limiter = limiter;
    ticket->overdue_timer = (struct timer){.fire = on_overdue, .arg = ticket};
    ticket->granted = ticket->overdue = false;
    TAILQ_INSERT_TAIL(&limiter->queued, ticket, link);
    grant_tickets(limiter);
}

void spawn_limiter_release(struct spawn_ticket *ticket)
{
    struct spawn_limiter *limiter = ticket->limiter;
    if (!limiter)
        return;
    ticket->limiter = NULL;
    if (ticket->granted) {
        timer_clear(limiter->timers, &ticket->overdue_timer);
        TAILQ_REMOVE(&limiter->granted, ticket, link);
        limiter->in_time_n -= !ticket->overdue;
    } else {
        TAILQ_REMOVE(&limiter->queued, ticket, link);
    }
    grant_tickets(limiter);
}
