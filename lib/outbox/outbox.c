#include "outbox/outbox.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"

enum {
    /* entries of the table, a power of two; a workspace that is driven out is looked up again */
    SUBSCRIPTIONS = 256,
    SUBSCRIPTION_AGE_MS = 1000,
};

/* The events that the endpoints of a workspace ask for. */
struct subscription {
    id workspace_id;
    /* Boot time before MariaDB was asked. */
    int64_t read_ms;
    uint32_t events;
};

/* Of each thread that ends runs, so that no lock is needed. */
static _Thread_local struct subscription subscriptions[SUBSCRIPTIONS];

static struct subscription *subscription_of(const id *workspace)
{
    return &subscriptions[id_hash(workspace) & (SUBSCRIPTIONS - 1)];
}

static bool is_known(const id *workspace, int64_t now_ms)
{
    const struct subscription *s = subscription_of(workspace);
    return id_equal(&s->workspace_id, workspace) && now_ms - s->read_ms < SUBSCRIPTION_AGE_MS;
}

/* Reads what is not known of the workspaces. */
static enum err read_subscriptions(struct db_tx *tx, const struct outbox_entry *entries, size_t n,
                                   int64_t now_ms)
{
    id *unknown = talloc_array(tx->ctx, id, n + 1);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n + 1);
    struct db_rows *rows;
    size_t unknown_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_known(&entries[i].workspace_id, now_ms))
            unknown[unknown_n++] = entries[i].workspace_id;
    }
    unknown_n = id_sort_distinct(unknown, unknown_n);
    for (size_t i = 0; i < unknown_n; i++)
        values[i] = db_id(&unknown[i]);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_OUTBOX_SUBSCRIPTIONS, NULL, 0, values, 1, unknown_n, &rows);
    if (e != OK)
        return e;
    for (size_t i = 0; i < unknown_n; i++)
        *subscription_of(&unknown[i]) = (struct subscription){unknown[i], now_ms, 0};
    for (size_t i = 0; i < rows->count; i++) {
        id workspace = db_get_id(rows, i, OUTBOX_SUBSCRIPTIONS_WORKSPACE_ID);
        *subscription_of(&workspace) =
            (struct subscription){workspace, now_ms, (uint32_t)db_int(rows, i, OUTBOX_SUBSCRIPTIONS_EVENTS)};
    }
    return OK;
}

/* Two workspaces of one transaction may have the same place in the table: the one that lost it may be asked
 * about again, and gets its row meanwhile. */
static bool is_wanted(const struct outbox_entry *entry)
{
    const struct subscription *s = subscription_of(&entry->workspace_id);
    return ((entry->own_events | s->events) & webhook_event_bit(entry->event)) != 0 ||
           !id_equal(&s->workspace_id, &entry->workspace_id);
}

enum err outbox_insert(struct db_tx *tx, const struct outbox_entry *entries, size_t n)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * OUTBOX_INSERT_SET_COUNT + 1);
    id *ids = talloc_array(tx->ctx, id, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct db_value *v = &values[i * OUTBOX_INSERT_SET_COUNT];
        ids[i] = id_is_set(&entries[i].id) ? entries[i].id : id_new();
        v[OUTBOX_INSERT_SET_ID] = db_id(&ids[i]);
        v[OUTBOX_INSERT_SET_WORKSPACE_ID] = db_id(&entries[i].workspace_id);
        v[OUTBOX_INSERT_SET_EXECUTION_ID] = db_id(&entries[i].execution_id);
        v[OUTBOX_INSERT_SET_WEBHOOK_ID] = db_id(&entries[i].webhook_id);
        v[OUTBOX_INSERT_SET_EVENT] = db_number(entries[i].event);
        v[OUTBOX_INSERT_SET_AT_MS] = db_number(entries[i].at_ms);
        v[OUTBOX_INSERT_SET_BODY] = db_text(entries[i].data);
    }
    return db_run_each(tx->db, tx->ctx, SQL_OUTBOX_INSERT, NULL, 0, values, OUTBOX_INSERT_SET_COUNT, n, NULL);
}

enum err outbox_write(struct db_tx *tx, const struct outbox_entry *entries, size_t n)
{
    struct outbox_entry *wanted = talloc_array(tx->ctx, struct outbox_entry, n + 1);
    size_t wanted_n = 0;
    enum err e = read_subscriptions(tx, entries, n, clock_boot_ms());
    for (size_t i = 0; e == OK && i < n; i++) {
        if (is_wanted(&entries[i]))
            wanted[wanted_n++] = entries[i];
    }
    return e == OK ? outbox_insert(tx, wanted, wanted_n) : e;
}

enum err webhook_put_workspace_event(struct db_tx *tx, const id *workspace, enum webhook_event event,
                                     const char *data)
{
    struct outbox_entry entry = {
        .workspace_id = *workspace, .event = event, .at_ms = clock_wall_ms(), .data = data};
    return strlen(data) <= WEBHOOK_DATA_MAX ? outbox_write(tx, &entry, 1) : ERR_INVALID;
}
