/* The outbox of webhooks (docs/webhooks.md): the transaction that makes an event true writes one row for it,
 * from which lib/webhook makes deliveries later.
 *
 * A row is written only if somebody may want it: the run has its own webhook, or an endpoint of the workspace
 * asks for the event. The latter is looked up at most once a second for a workspace and a thread, so an
 * endpoint receives the events that happen more than a second after its creation. */
#pragma once

#include <stdint.h>

#include "base/ids.h"
#include "mariadb/db.h"

/* Stored in MariaDB: add new ones, never renumber. */
enum webhook_event {
    WEBHOOK_STARTED = 1,
    WEBHOOK_SUCCEEDED = 2,
    WEBHOOK_FAILED = 3,
    WEBHOOK_STOPPED = 4,
    /* an endpoint was switched off by Millrace */
    WEBHOOK_DISABLED = 5,
    /* a message to one endpoint, by request */
    WEBHOOK_TEST = 6,
    /* a budget has reached its soft_percent; its limit (docs/budgets.md) */
    WEBHOOK_BUDGET_SOFT = 7,
    WEBHOOK_BUDGET_EXCEEDED = 8,
    /* a run is parked until a signal comes; sent each time */
    WEBHOOK_WAITING = 9,
    /* the balance has reached a line; more than usual was spent in a day (docs/budgets.md) */
    WEBHOOK_CREDITS_LOW = 10,
    WEBHOOK_CREDITS_SPEND_HIGH = 11,
};

static inline uint32_t webhook_event_bit(enum webhook_event event)
{
    return 1U << event;
}

/* What is sent to those that do not name events: the ends of runs. */
enum { WEBHOOK_EVENTS_DEFAULT = 1 << WEBHOOK_SUCCEEDED | 1 << WEBHOOK_FAILED | 1 << WEBHOOK_STOPPED };
/* What an endpoint, and what a run's own webhook may ask for. */
enum {
    WEBHOOK_EVENTS_OF_RUNS = WEBHOOK_EVENTS_DEFAULT | 1 << WEBHOOK_STARTED | 1 << WEBHOOK_WAITING,
    WEBHOOK_EVENTS_ALL = WEBHOOK_EVENTS_OF_RUNS | 1 << WEBHOOK_DISABLED | 1 << WEBHOOK_BUDGET_SOFT |
                         1 << WEBHOOK_BUDGET_EXCEEDED | 1 << WEBHOOK_CREDITS_LOW |
                         1 << WEBHOOK_CREDITS_SPEND_HIGH,
};

struct outbox_entry {
    /* The message's id; unset: a new one. */
    id id;
    id workspace_id;
    /* One of them may be unset. */
    id execution_id, webhook_id;
    enum webhook_event event;
    /* Wall time. */
    int64_t at_ms;
    /* The events that the run's own webhook asks for. */
    uint32_t own_events;
    /* JSON text: the member "data" of the body. NULL: it tells what is known of the run or the endpoint when
     * the message is fanned out. */
    const char *data;
};

/* Writes the rows of those entries that somebody may want. */
enum err outbox_write(struct db_tx *tx, const struct outbox_entry *entries, size_t n) WARN_UNUSED;
/* Writes all of them. */
enum err outbox_insert(struct db_tx *tx, const struct outbox_entry *entries, size_t n) WARN_UNUSED;

enum { WEBHOOK_DATA_MAX = 32768 };
/* An event of a workspace that is not about a run: endpoints of the workspace that ask for `event` get a
 * message, whatever their filters say, if the caller's transaction commits. `data` is the JSON text of an
 * object of at most WEBHOOK_DATA_MAX bytes; it is stored and sent as it is, so it contains no secret and no
 * input. The event needs a number above, a place in WEBHOOK_EVENTS_ALL and a name (lib/webhook/event.c). A
 * repeated transaction writes another message: a caller that settles an unknown COMMIT recognizes its own
 * effect before it calls this. */
enum err webhook_put_workspace_event(struct db_tx *tx, const id *workspace, enum webhook_event event,
                                     const char *data) WARN_UNUSED;
