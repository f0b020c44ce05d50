#include "spending/budget.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/sort.h"
#include "schedule/calendar.h"

enum {
    SCOPES_OF_RUN = 4, /* all but tags */
    PERCENT = 100,
};

static const char *const scope_names[] = {
    [BUDGET_WORKSPACE] = "workspace", [BUDGET_KEY] = "key", [BUDGET_PRINCIPAL] = "principal",
    [BUDGET_RESPONDER] = "responder", [BUDGET_TAG] = "tag",
};
enum { SCOPE_NAMES = sizeof scope_names / sizeof scope_names[0] };

/* A row, and what this transaction does to it. */
struct found {
    struct budget_row row;
    uint8_t hash[BUDGET_HASH_SIZE];
    /* The period that is over, with its counter; used 0: there is none to keep. */
    struct period over;
    int64_t over_used;
    bool changed;
};

struct candidate {
    /* Ascending numbers of `found`. */
    size_t matches[BUDGETS_OF_RUN_MAX];
    size_t n;
    bool too_many;
};

struct budget_set {
    struct candidate *candidates;
    size_t candidates_n;
    struct found *found; /* ascending by hash */
    size_t found_n;
    struct budget_crossing *crossings;
    size_t crossings_n;
};

const char *budget_scope_name(enum budget_scope scope)
{
    return (unsigned)scope < SCOPE_NAMES ? scope_names[scope] : NULL;
}

enum budget_scope budget_scope_from_name(const char *name)
{
    for (int i = BUDGET_WORKSPACE; i < SCOPE_NAMES; i++) {
        if (strcmp(scope_names[i], name) == 0)
            return (enum budget_scope)i;
    }
    return 0;
}

void budget_hash(const id *workspace, enum budget_scope scope, struct span target,
                 uint8_t hash_r[BUDGET_HASH_SIZE])
{
    crypto_hash_sha256_state s;
    const unsigned char kind = (unsigned char)scope;
    crypto_hash_sha256_init(&s);
    crypto_hash_sha256_update(&s, (const unsigned char *)workspace->text, ID_LENGTH);
    crypto_hash_sha256_update(&s, &kind, 1);
    if (target.size > 0)
        crypto_hash_sha256_update(&s, (const unsigned char *)target.at, target.size);
    crypto_hash_sha256_final(&s, hash_r);
}

/* Limits are so small (BUDGET_LIMIT_MAX) that the products fit. */
bool budget_is_soft(const struct budget_row *b)
{
    return b->soft_percent > 0 && b->used * PERCENT >= b->limit * b->soft_percent;
}

/* --- reading --- */

struct hash {
    uint8_t bytes[BUDGET_HASH_SIZE];
};

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, BUDGET_HASH_SIZE);
}

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int order = memcmp(x->hash, y->hash, BUDGET_HASH_SIZE);
    return order != 0 ? order : id_compare(&x->row.id, &y->row.id);
}

static struct span id_span(const id *i)
{
    return (struct span){i->text, strlen(i->text)};
}

static bool has_budgets(const struct budget_subject *s)
{
    return s->account && (s->account->budgets & ACCOUNT_HAS_BUDGETS);
}

static size_t tags_of(const struct budget_subject *s)
{
    return s->account->budgets & ACCOUNT_HAS_TAG_BUDGETS ? s->tags_n : 0;
}

static size_t hashes_of(const struct budget_subject *s)
{
    return has_budgets(s) ? SCOPES_OF_RUN + tags_of(s) : 0;
}

/* Writes hashes_of(s) hashes. A run without a key (of a schedule whose key is gone) has the hash of an empty
 * target, which no budget has. */
static void hash_subject(const struct budget_subject *s, struct hash *out)
{
    const id *workspace = &s->account->workspace_id;
    budget_hash(workspace, BUDGET_WORKSPACE, (struct span){0}, out[0].bytes);
    budget_hash(workspace, BUDGET_KEY, id_span(&s->key_id), out[1].bytes);
    budget_hash(workspace, BUDGET_PRINCIPAL, id_span(&s->principal_id), out[2].bytes);
    budget_hash(workspace, BUDGET_RESPONDER, id_span(&s->responder_id), out[3].bytes);
    for (size_t i = 0; i < tags_of(s); i++)
        budget_hash(workspace, BUDGET_TAG, s->tags[i], out[SCOPES_OF_RUN + i].bytes);
}

/* Whether their hashes are the same, as of runs that a client starts one after the other. */
static bool is_alike(const struct budget_subject *a, const struct budget_subject *b)
{
    return a->account == b->account && tags_of(a) == 0 && tags_of(b) == 0 &&
           id_equal(&a->key_id, &b->key_id) && id_equal(&a->principal_id, &b->principal_id) &&
           id_equal(&a->responder_id, &b->responder_id);
}

static void take_row(struct found *f, const struct db_rows *rows, size_t r)
{
    const struct db_cell *target = db_cell(rows, r, BUDGET_FIND_TARGET);
    f->row = (struct budget_row){
        .id = db_get_id(rows, r, BUDGET_FIND_ID),
        .workspace_id = db_get_id(rows, r, BUDGET_FIND_WORKSPACE_ID),
        .scope = (enum budget_scope)db_int(rows, r, BUDGET_FIND_SCOPE),
        .target = {target->text, target->size},
        .period = (enum period_kind)db_int(rows, r, BUDGET_FIND_PERIOD),
        .limit = db_int(rows, r, BUDGET_FIND_AMOUNT),
        .soft_percent = (int)db_int(rows, r, BUDGET_FIND_SOFT_PERCENT),
        .used = db_int(rows, r, BUDGET_FIND_USED),
        .current = {db_int(rows, r, BUDGET_FIND_START_MS), db_int(rows, r, BUDGET_FIND_END_MS)},
        .told = (uint32_t)db_int(rows, r, BUDGET_FIND_TOLD),
    };
    memcpy(f->hash, db_cell(rows, r, BUDGET_FIND_TARGET_HASH)->text, BUDGET_HASH_SIZE);
}

static const struct account *account_of(const struct budget_subject *subjects, size_t n, const id *workspace)
{
    for (size_t i = 0; i < n; i++) {
        if (has_budgets(&subjects[i]) && id_equal(&subjects[i].account->workspace_id, workspace))
            return subjects[i].account;
    }
    return NULL;
}

/* A time zone that this host's database does not have any more counts as UTC. */
static void begin_period(struct found *f, const char *timezone, int64_t now_ms)
{
    struct zone *zone = calendar_zone(NULL, timezone);
    f->over = f->row.current;
    f->over_used = f->row.used;
    f->row.current = period_after(zone, f->row.period, f->row.current, now_ms);
    f->row.used = 0;
    f->row.told = 0;
    talloc_free(zone);
}

static enum err read_found(struct db_tx *tx, struct budget_set *set, const struct budget_subject *subjects,
                           size_t n, const struct hash *hashes, size_t hashes_n)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, hashes_n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < hashes_n; i++)
        values[i] = db_bytes(hashes[i].bytes, BUDGET_HASH_SIZE);
    enum err e = db_run_each(tx->db, set, SQL_BUDGET_FIND, NULL, 0, values, 1, hashes_n, &rows);
    if (e != OK)
        return e;
    set->found_n = rows->count;
    set->found = talloc_zero_array(set, struct found, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++) {
        struct found *f = &set->found[r];
        take_row(f, rows, r);
        int64_t now_ms = account_of(subjects, n, &f->row.workspace_id)->now_ms;
        if (now_ms >= f->row.current.end_ms)
            begin_period(f, db_str(rows, r, BUDGET_FIND_TIMEZONE), now_ms);
    }
    if (set->found_n > 0)
        qsort(set->found, set->found_n, sizeof *set->found, compare_found);
    return OK;
}

/* The first row with this hash or a greater one. */
static size_t lower_bound(const struct budget_set *set, const struct hash *hash)
{
    size_t low = 0, high = set->found_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memcmp(set->found[middle].hash, hash->bytes, BUDGET_HASH_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Sorts the `n` hashes of the subject. */
static void match(const struct budget_set *set, struct hash *hashes, size_t n, struct candidate *c)
{
    n = sort_merge(hashes, n, sizeof *hashes, compare_hashes, NULL); /* a repeated tag counts once */
    for (size_t h = 0; h < n; h++) {
        for (size_t i = lower_bound(set, &hashes[h]);
             i < set->found_n && memcmp(set->found[i].hash, hashes[h].bytes, BUDGET_HASH_SIZE) == 0; i++) {
            c->too_many = c->n == BUDGETS_OF_RUN_MAX;
            if (c->too_many)
                return;
            c->matches[c->n++] = i;
        }
    }
}

enum err budget_set_read(struct db_tx *tx, void *ctx, const struct budget_subject *subjects, size_t n,
                         struct budget_set **set_r)
{
    size_t all = 0, at = 0;
    const struct budget_subject *last = NULL;
    *set_r = NULL;
    for (size_t i = 0; i < n; i++)
        all += hashes_of(&subjects[i]);
    if (all == 0)
        return OK;
    struct hash *own = talloc_array(tx->ctx, struct hash, all);
    for (size_t i = 0; i < n; at += hashes_of(&subjects[i++])) {
        if (hashes_of(&subjects[i]) == 0)
            continue;
        if (last && is_alike(last, &subjects[i]))
            memcpy(&own[at], &own[at - SCOPES_OF_RUN], SCOPES_OF_RUN * sizeof *own);
        else
            hash_subject(&subjects[i], &own[at]);
        last = &subjects[i];
    }
    struct budget_set *set = talloc_zero(ctx, struct budget_set);
    struct hash *hashes = talloc_memdup(tx->ctx, own, all * sizeof *own);
    enum err e = read_found(tx, set, subjects, n, hashes,
                            sort_merge(hashes, all, sizeof *hashes, compare_hashes, NULL));
    if (e != OK)
        return e;
    set->candidates = talloc_zero_array(set, struct candidate, n);
    set->candidates_n = n;
    for (size_t i = 0; i < n; own += hashes_of(&subjects[i++]))
        match(set, own, hashes_of(&subjects[i]), &set->candidates[i]);
    *set_r = set;
    return OK;
}

/* --- deciding --- */

/* Reports a level once, until it is left. */
static void tell(struct budget_set *set, struct found *f, uint32_t level)
{
    if (f->row.told & level)
        return;
    f->row.told |= level;
    f->changed = true;
    set->crossings = talloc_realloc(set, set->crossings, struct budget_crossing, set->crossings_n + 1);
    set->crossings[set->crossings_n++] = (struct budget_crossing){&f->row, level};
}

bool budget_set_allows(struct budget_set *set, size_t i, int64_t cost, struct budget_refusal *refusal_r)
{
    const struct candidate *c = set ? &set->candidates[i] : NULL;
    bool allows = true;
    *refusal_r = (struct budget_refusal){0};
    if (!c || cost == 0)
        return true;
    if (c->too_many) {
        refusal_r->reset_ms = PERIOD_NEVER;
        return false;
    }
    for (size_t k = 0; k < c->n; k++) {
        struct found *f = &set->found[c->matches[k]];
        const struct budget_row *b = &f->row;
        if (b->used <= b->limit - cost)
            continue;
        tell(set, f, BUDGET_TOLD_EXCEEDED);
        if (allows || b->current.end_ms > refusal_r->reset_ms)
            *refusal_r =
                (struct budget_refusal){b->id, b->scope, b->period, b->limit, b->used, b->current.end_ms};
        allows = false;
    }
    return allows;
}

void budget_set_debit(struct budget_set *set, size_t i, int64_t cost)
{
    const struct candidate *c = set ? &set->candidates[i] : NULL;
    for (size_t k = 0; c && k < c->n; k++) {
        struct found *f = &set->found[c->matches[k]];
        f->row.used += cost;
        f->changed = true;
        if (budget_is_soft(&f->row))
            tell(set, f, BUDGET_TOLD_SOFT);
        if (cost > 0 && f->row.used >= f->row.limit)
            tell(set, f, BUDGET_TOLD_EXCEEDED);
    }
}

const struct budget_crossing *budget_set_crossings(const struct budget_set *set, size_t *n_r)
{
    *n_r = set ? set->crossings_n : 0;
    return set ? set->crossings : NULL;
}

/* --- marks --- */

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void write_mark(const struct budget_row *b, uint8_t *out)
{
    uint64_t start = (uint64_t)b->current.start_ms;
    for (const char *p = b->id.text; *p; p++) {
        if (*p == '-')
            continue;
        *out++ = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
        p++;
    }
    for (int shift = 56; shift >= 0; shift -= 8)
        *out++ = (uint8_t)(start >> shift);
}

struct span budget_set_marks(const struct budget_set *set, size_t i)
{
    const struct candidate *c = set ? &set->candidates[i] : NULL;
    if (!c || c->n == 0 || c->too_many)
        return (struct span){0};
    uint8_t *marks = talloc_array(set, uint8_t, c->n * BUDGET_MARK_SIZE);
    for (size_t k = 0; k < c->n; k++)
        write_mark(&set->found[c->matches[k]].row, &marks[k * BUDGET_MARK_SIZE]);
    return (struct span){(const char *)marks, c->n * BUDGET_MARK_SIZE};
}

struct mark {
    id budget_id;
    int64_t start_ms;
    int64_t amount;
};

static struct mark read_mark(const uint8_t *in, int64_t amount)
{
    static const char digits[] = "0123456789abcdef";
    struct mark m = {.amount = amount};
    uint64_t start = 0;
    char *out = m.budget_id.text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 15];
    }
    for (int i = 16; i < BUDGET_MARK_SIZE; i++)
        start = start << 8 | in[i];
    m.start_ms = (int64_t)start;
    return m;
}

/* --- writing --- */

static enum err write_periods_that_are_over(struct db_tx *tx, const struct budget_set *set)
{
    struct db_value *values =
        talloc_array(tx->ctx, struct db_value, set->found_n * BUDGET_PERIOD_INSERT_SET_COUNT + 1);
    size_t rows = 0;
    for (size_t i = 0; i < set->found_n; i++) {
        const struct found *f = &set->found[i];
        if (!f->changed || f->over_used == 0)
            continue;
        struct db_value *v = &values[BUDGET_PERIOD_INSERT_SET_COUNT * rows++];
        v[BUDGET_PERIOD_INSERT_SET_BUDGET_ID] = db_id(&f->row.id);
        v[BUDGET_PERIOD_INSERT_SET_START_MS] = db_number(f->over.start_ms);
        v[BUDGET_PERIOD_INSERT_SET_END_MS] = db_number(f->over.end_ms);
        v[BUDGET_PERIOD_INSERT_SET_USED] = db_number(f->over_used);
    }
    return db_run_each(tx->db, tx->ctx, SQL_BUDGET_PERIOD_INSERT, NULL, 0, values,
                       BUDGET_PERIOD_INSERT_SET_COUNT, rows, NULL);
}

enum err budget_set_write(struct db_tx *tx, struct budget_set *set)
{
    if (!set)
        return OK;
    struct db_value *values =
        talloc_array(tx->ctx, struct db_value, set->found_n * BUDGET_COUNT_SET_COUNT + 1);
    size_t rows = 0;
    for (size_t i = 0; i < set->found_n; i++) {
        const struct budget_row *b = &set->found[i].row;
        if (!set->found[i].changed)
            continue;
        struct db_value *v = &values[BUDGET_COUNT_SET_COUNT * rows++];
        v[BUDGET_COUNT_SET_ID] = db_id(&b->id);
        v[BUDGET_COUNT_SET_WORKSPACE_ID] = db_id(&b->workspace_id);
        v[BUDGET_COUNT_SET_TARGET_HASH] = db_bytes(set->found[i].hash, BUDGET_HASH_SIZE);
        v[BUDGET_COUNT_SET_SCOPE] = db_number(b->scope);
        v[BUDGET_COUNT_SET_TARGET] = db_bytes(b->target.at ? b->target.at : "", b->target.size);
        v[BUDGET_COUNT_SET_PERIOD] = db_number(b->period);
        v[BUDGET_COUNT_SET_AMOUNT] = db_number(b->limit);
        v[BUDGET_COUNT_SET_USED] = db_number(b->used);
        v[BUDGET_COUNT_SET_START_MS] = db_number(b->current.start_ms);
        v[BUDGET_COUNT_SET_END_MS] = db_number(b->current.end_ms);
        v[BUDGET_COUNT_SET_TOLD] = db_number(b->told);
        v[BUDGET_COUNT_SET_CREATED_MS] = db_number(0);
        v[BUDGET_COUNT_SET_UPDATED_MS] = db_number(0);
    }
    enum err e = write_periods_that_are_over(tx, set);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_BUDGET_COUNT, NULL, 0, values, BUDGET_COUNT_SET_COUNT,
                                 rows, NULL)
                   : e;
}

enum err budget_begin_periods(struct db_tx *tx, const struct account *a)
{
    struct db_value args[] = {db_id(&a->workspace_id), db_number(a->now_ms)};
    struct db_rows *rows;
    if (!(a->budgets & ACCOUNT_HAS_BUDGETS))
        return OK;
    enum err e = db_run(tx->db, tx->ctx, SQL_BUDGET_OVER, args, 2, &rows);
    if (e != OK)
        return e;
    struct budget_set *set = talloc_zero(tx->ctx, struct budget_set);
    set->found_n = rows->count;
    set->found = talloc_zero_array(set, struct found, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++) {
        struct found *f = &set->found[r];
        take_row(f, rows, r);
        begin_period(f, db_str(rows, r, BUDGET_FIND_TIMEZONE), a->now_ms);
        f->changed = true;
    }
    return budget_set_write(tx, set);
}

/* --- refunds --- */

static int compare_marks(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    int order = id_compare(&x->budget_id, &y->budget_id);
    return order != 0 ? order : (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
}

static void add_mark(void *kept, const void *equal)
{
    ((struct mark *)kept)->amount += ((const struct mark *)equal)->amount;
}

/* A budget that was deleted has neither row. */
static enum err lower_counter(struct db_tx *tx, const struct mark *m)
{
    struct db_value current[] = {db_number(m->amount), db_id(&m->budget_id), db_number(m->start_ms)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_BUDGET_LOWER, current, 3, &rows);
    if (e == OK && rows->affected == 0)
        e = db_run(tx->db, tx->ctx, SQL_BUDGET_PERIOD_LOWER, current, 3, NULL);
    return e;
}

/* The refunds of one workspace. */
static enum err refund_account(struct db_tx *tx, const struct account *a, struct ledger_entry *refunds,
                               size_t refunds_n)
{
    struct db_value workspace = db_id(&a->workspace_id);
    struct db_value *debits = talloc_array(tx->ctx, struct db_value, refunds_n + 1);
    struct db_rows *rows;
    size_t n = 0, marks_n = 0;
    for (size_t i = 0; i < refunds_n; i++) {
        if (id_equal(&refunds[i].workspace_id, &a->workspace_id))
            debits[n++] = db_id(&refunds[i].execution_id);
    }
    enum err e = db_run_each(tx->db, tx->ctx, SQL_LEDGER_BUDGETS, &workspace, 1, debits, 1, n, &rows);
    if (e != OK)
        return e;
    struct mark *marks = talloc_array(tx->ctx, struct mark, rows->count * BUDGETS_OF_RUN_MAX + 1);
    for (size_t r = 0; r < rows->count; r++) {
        const struct db_cell *cell = db_cell(rows, r, LEDGER_BUDGETS_BUDGETS);
        id debit = db_get_id(rows, r, LEDGER_BUDGETS_ID);
        struct ledger_entry *refund = refunds;
        while (!id_equal(&refund->execution_id, &debit))
            refund++;
        refund->budgets = (struct span){cell->text, cell->size};
        for (size_t at = 0; at + BUDGET_MARK_SIZE <= cell->size; at += BUDGET_MARK_SIZE)
            marks[marks_n++] = read_mark((const uint8_t *)cell->text + at, refund->amount);
    }
    marks_n = sort_merge(marks, marks_n, sizeof *marks, compare_marks, add_mark);
    for (size_t i = 0; e == OK && i < marks_n; i++)
        e = lower_counter(tx, &marks[i]);
    return e;
}

enum err budget_refund(struct db_tx *tx, const struct account *accounts, size_t accounts_n,
                       struct ledger_entry *refunds, size_t refunds_n)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && refunds_n > 0 && i < accounts_n; i++) {
        if (accounts[i].budgets & ACCOUNT_HAS_BUDGETS)
            e = refund_account(tx, &accounts[i], refunds, refunds_n);
    }
    return e;
}
