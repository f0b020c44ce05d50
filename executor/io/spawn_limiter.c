#include "executor/io/spawn_limiter.h"

#include <limits.h>
#include <talloc.h>

#include "base/clock.h"

enum { TICKET_MS = 500 };

TAILQ_HEAD(spawn_tickets, spawn_ticket);

struct spawn_limiter {
    struct timers *timers;
    int limit, granted_n;
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

static void on_ticket_expired(void *arg)
{
    spawn_limiter_release(arg);
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
    int fewest = INT_MAX;
    if (limiter->granted_n > limiter->limit)
        return NULL;
    for (struct spawn_ticket *t = TAILQ_FIRST(&limiter->queued); t; t = TAILQ_NEXT(t, link)) {
        int n = granted_to(limiter, &t->workspace);
        if (n < fewest) {
            fewest = n;
            next = t;
        }
        if (n == 0)
            break;
    }
    return limiter->granted_n < limiter->limit || fewest == 0 ? next : NULL;
}

static void grant_tickets(struct spawn_limiter *limiter)
{
    for (struct spawn_ticket *t; (t = next_ticket(limiter));) {
        TAILQ_REMOVE(&limiter->queued, t, link);
        TAILQ_INSERT_TAIL(&limiter->granted, t, link);
        limiter->granted_n++;
        t->granted = true;
        timer_set(limiter->timers, &t->expiry, clock_boot_ms() + TICKET_MS);
        t->on_granted(t->arg); /* may leave at once */
    }
}

void spawn_limiter_acquire(struct spawn_limiter *limiter, struct spawn_ticket *ticket)
{
    ticket->limiter = limiter;
    ticket->expiry = (struct timer){.fire = on_ticket_expired, .arg = ticket};
    ticket->granted = false;
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
        timer_clear(limiter->timers, &ticket->expiry);
        TAILQ_REMOVE(&limiter->granted, ticket, link);
        limiter->granted_n--;
    } else {
        TAILQ_REMOVE(&limiter->queued, ticket, link);
    }
    grant_tickets(limiter);
}
