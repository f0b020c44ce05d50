#include "account/ledger.h"

#include <string.h>
#include <talloc.h>

#include "schedule/calendar.h"
#include "schedule/zone.h"

_Static_assert((int)LEDGER_KINDS_END <= (int)DB_TX_MOVED_KINDS, "DB_TX_MOVED_KINDS is too small");

/* --- days --- */

enum { KNOWN_DAYS = 8, MS_PER_DAY = 86400000 };

/* Days that the thread has looked up last: opening a zone takes as long as ten rows (5 to 50 us). */
struct known_day {
    char zone[ZONE_NAME_MAX + 1];
    struct period period;
    int64_t number;
};

static int64_t day_in_zone(const char *name, int64_t instant_ms)
{
    static _Thread_local struct known_day known[KNOWN_DAYS];
    static _Thread_local unsigned next;
    for (size_t i = 0; i < KNOWN_DAYS; i++) {
        const struct known_day *k = &known[i];
        if (instant_ms >= k->period.start_ms && instant_ms < k->period.end_ms && strcmp(k->zone, name) == 0)
            return k->number;
    }
    void *ctx = talloc_new(NULL);
    struct calendar_days days = {.zone = calendar_zone(ctx, name)};
    int64_t number = calendar_days_of(&days, instant_ms);
    if (strlen(name) <= ZONE_NAME_MAX) {
        struct known_day *k = &known[next++ % KNOWN_DAYS];
        *k = (struct known_day){.period = days.day, .number = number};
        memcpy(k->zone, name, strlen(name));
    }
    talloc_free(ctx);
    return number;
}

int64_t ledger_day(const char *timezone, int64_t instant_ms)
{
    return timezone ? day_in_zone(timezone, instant_ms) : instant_ms / MS_PER_DAY;
}

/* --- sums --- */

enum err ledger_add_sums(struct db_tx *tx, struct day_sum *sums, size_t n)
{
    n = day_sums_merge(sums, n);
    enum err e = day_sums_add(tx, SQL_SUMS_ADD, sums, n);
    for (size_t i = 0; i < n; i++) {
        struct day_sum *s = &sums[i];
        s->day = calendar_day_month(s->day);
        s->responder_id = s->key_id = s->grant_id = (id){{0}};
    }
    n = day_sums_merge(sums, n);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * MONTHS_ADD_SET_COUNT + 1);
    for (size_t i = 0; i < n; i++) {
        const struct day_sum *s = &sums[i];
        struct db_value *v = &values[MONTHS_ADD_SET_COUNT * i];
        v[MONTHS_ADD_SET_WORKSPACE_ID] = db_id(&s->workspace_id);
        v[MONTHS_ADD_SET_MONTH] = db_number(s->day);
        v[MONTHS_ADD_SET_KIND] = db_number(s->kind);
        v[MONTHS_ADD_SET_N] = db_number(s->n);
        v[MONTHS_ADD_SET_AMOUNT] = db_number(s->amount);
    }
    return e == OK
               ? db_run_each(tx->db, tx->ctx, SQL_MONTHS_ADD, NULL, 0, values, MONTHS_ADD_SET_COUNT, n, NULL)
               : e;
}

enum err ledger_month_amount(struct db_tx *tx, const struct ledger_owner *owner, int64_t instant_ms,
                             enum ledger_kind kind, int64_t *amount_r)
{
    int month = calendar_day_month(ledger_day(owner->timezone, instant_ms));
    struct db_value args[] = {db_id(&owner->workspace_id), db_number(month), db_number(kind)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_MONTH_AMOUNT, args, 3, &rows);
    *amount_r = e == OK && rows->count > 0 ? db_int(rows, 0, MONTH_AMOUNT_AMOUNT) : 0;
    return e;
}

/* One sum for each grant that an entry concerns, if these are several. Only the sum of the lowest grant
 * counts the entry. Returns the number of sums. */
static size_t sum_parts(const struct ledger_owner *o, const struct ledger_entry *entry,
                        const struct day_sum *whole, struct day_sum *sums)
{
    size_t n = 0, first = 0;
    for (size_t i = 0; !id_is_set(&entry->grant_id) && i < o->parts_n; i++) {
        const struct grant_part *part = &o->parts[i];
        if (!id_equal(&part->ledger_id, &entry->id))
            continue;
        sums[n] = *whole;
        sums[n].n = 0;
        sums[n].grant_id = part->grant_id;
        sums[n].amount = part->amount;
        if (id_compare(&sums[n].grant_id, &sums[first].grant_id) < 0)
            first = n;
        n++;
    }
    if (n > 0)
        sums[first].n = 1;
    return n;
}

static size_t sum_entry(const struct ledger_owner *o, const struct ledger_entry *entry, struct day_sum *sums)
{
    const struct day_sum whole = {
        .workspace_id = entry->workspace_id,
        .day = ledger_day(o->timezone, id_ms(&entry->id)),
        .kind = entry->kind,
        .responder_id = entry->responder_id,
        .key_id = entry->key_id,
        .grant_id = entry->grant_id,
        .n = 1,
        .amount = entry->amount,
    };
    size_t parts = sum_parts(o, entry, &whole, sums);
    if (parts == 0)
        sums[0] = whole;
    return parts > 0 ? parts : 1;
}

static const struct ledger_owner *owner_of(const struct ledger_owner *owners, size_t n, const id *workspace)
{
    for (size_t i = 0; i < n; i++) {
        if (id_equal(&owners[i].workspace_id, workspace))
            return &owners[i];
    }
    return NULL;
}

static enum err add_to_sums(struct db_tx *tx, const struct ledger_owner *owners, size_t owners_n,
                            const struct ledger_entry *entries, size_t n)
{
    size_t most = n, sums_n = 0;
    for (size_t i = 0; i < owners_n; i++)
        most += owners[i].parts_n;
    struct day_sum *sums = talloc_array(tx->ctx, struct day_sum, most + 1);
    const struct ledger_owner *o = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct ledger_entry *entry = &entries[i];
        if (!o || !id_equal(&o->workspace_id, &entry->workspace_id))
            o = owner_of(owners, owners_n, &entry->workspace_id);
        if (!o)
            return ERR_INTERNAL;
        sums_n += sum_entry(o, entry, &sums[sums_n]);
    }
    return ledger_add_sums(tx, sums, sums_n);
}

/* --- rows --- */

enum err ledger_add(struct db_tx *tx, const struct ledger_owner *owners, size_t owners_n,
                    const struct ledger_entry *entries, size_t n)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * LEDGER_INSERT_SET_COUNT + 1);
    for (size_t i = 0; i < n; i++) {
        const struct ledger_entry *l = &entries[i];
        struct db_value *v = &values[i * LEDGER_INSERT_SET_COUNT];
        tx->moved[l->kind].n++;
        tx->moved[l->kind].amount += l->amount < 0 ? -l->amount : l->amount;
        v[LEDGER_INSERT_SET_WORKSPACE_ID] = db_id(&l->workspace_id);
        v[LEDGER_INSERT_SET_ID] = db_id(&l->id);
        v[LEDGER_INSERT_SET_KIND] = db_number(l->kind);
        v[LEDGER_INSERT_SET_AMOUNT] = db_number(l->amount);
        v[LEDGER_INSERT_SET_EXECUTION_ID] = db_id(&l->execution_id);
        v[LEDGER_INSERT_SET_RESPONDER_ID] = db_id(&l->responder_id);
        v[LEDGER_INSERT_SET_KEY_ID] = db_id(&l->key_id);
        v[LEDGER_INSERT_SET_REASON] = db_text(l->reason);
        v[LEDGER_INSERT_SET_GRANT_ID] = db_id(&l->grant_id);
        v[LEDGER_INSERT_SET_BUDGETS] = l->budgets.at ? db_bytes(l->budgets.at, l->budgets.size) : db_null();
        v[LEDGER_INSERT_SET_NUMBER] = db_number(LEDGER_NO_NUMBER);
    }
    enum err e =
        db_run_each(tx->db, tx->ctx, SQL_LEDGER_INSERT, NULL, 0, values, LEDGER_INSERT_SET_COUNT, n, NULL);
    return e == OK && n > 0 ? add_to_sums(tx, owners, owners_n, entries, n) : e;
}
