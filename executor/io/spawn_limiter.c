#include "executor/io/spawn_limiter.h"

#include <stddef.h>
#include <talloc.h>

#include "base/clock.h"

enum { TICKET_MS = 500 };

struct spawn_limiter {
    struct timers *timers;
    int available;
    struct spawn_ticket *first, **last;
};

struct spawn_limiter *spawn_limiter_new(void *ctx, struct timers *timers, int limit)
{
    struct spawn_limiter *limiter = talloc_zero(ctx, struct spawn_limiter);
    limiter->timers = timers;
    limiter->available = limit;
    limiter->last = &limiter->first;
    return limiter;
}

static void unlink_ticket(struct spawn_limiter *limiter, struct spawn_ticket *ticket)
{
    *ticket->link = ticket->next;
    if (ticket->next)
        ticket->next->link = ticket->link;
    else
        limiter->last = ticket->link;
}

static void on_ticket_expired(void *arg)
{
    spawn_limiter_release(arg);
}

static void grant_tickets(struct spawn_limiter *limiter)
{
    while (limiter->available > 0 && limiter->first) {
        struct spawn_ticket *ticket = limiter->first;
        unlink_ticket(limiter, ticket);
        limiter->available--;
        ticket->granted = true;
        timer_set(limiter->timers, &ticket->expiry, clock_boot_ms() + TICKET_MS);
        ticket->on_granted(ticket->arg); /* may leave at once */
    }
}

void spawn_limiter_acquire(struct spawn_limiter *limiter, struct spawn_ticket *ticket)
{
    ticket->limiter = limiter;
    ticket->expiry = (struct timer){.fire = on_ticket_expired, .arg = ticket};
    ticket->granted = false;
    ticket->next = NULL;
    ticket->link = limiter->last;
    *limiter->last = ticket;
    limiter->last = &ticket->next;
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
        limiter->available++;
    } else {
        unlink_ticket(limiter, ticket);
    }
    grant_tickets(limiter);
}
