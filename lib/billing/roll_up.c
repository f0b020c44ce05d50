#include "billing/roll_up.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "account/day_sum.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/sort.h"
#include "deed/deed.h"
#include "schedule/calendar.h"

enum {
    /* Rows that a slice reads. */
    ROWS = 240,
    /* The LIMIT of roll_up_candidates.sql. */
    CANDIDATES = 100,
    /* Sums that one statement reads for a checksum: most months have fewer. */
    SUMS = 4000,
    /* Of a mark in credit_ledger.budgets: 16 bytes of id, 8 of the period's start (lib/spending/budget.h). */
    MARK = 24,
    MARK_ID = 16,
    STATE_RUNNING = 1,
    STATE_DONE = 2,
};

static const int64_t DAY_MS = 86400000;
static const char none[] = "00000000-0000-0000-0000-000000000000";
static const char highest[] = "ffffffff-ffff-ffff-ffff-ffffffffffff";

static int month_of_id(const id *row)
{
    return calendar_day_month(id_ms(row) / DAY_MS);
}

/* --- the checksum --- */

static void hash_text(crypto_hash_sha256_state *h, const char *text)
{
    crypto_hash_sha256_update(h, (const uint8_t *)text, strlen(text));
}

static void hash_sums(const struct db_rows *rows, size_t n, crypto_hash_sha256_state *h, struct roll_up *r)
{
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < n; i++) {
        int64_t count = db_int(rows, i, ROLL_UP_SUMS_N), amount = db_int(rows, i, ROLL_UP_SUMS_AMOUNT);
        hash_text(h, talloc_asprintf(ctx, "sum %" PRId64 " %" PRId64 " %s %s %s %" PRId64 " %" PRId64 "\n",
                                     db_int(rows, i, ROLL_UP_SUMS_DAY), db_int(rows, i, ROLL_UP_SUMS_KIND),
                                     db_str(rows, i, ROLL_UP_SUMS_RESPONDER_ID),
                                     db_str(rows, i, ROLL_UP_SUMS_KEY_ID),
                                     db_str(rows, i, ROLL_UP_SUMS_GRANT_ID), count, amount));
        r->n += count;
        r->amount += amount;
    }
    talloc_free(ctx);
}

/* Adds the days from *day_r on, before day `to`, as many as one statement reads; sets *day_r to the next one.
 * Of a day that does not fit behind others, nothing is added. */
static enum err hash_days(struct db *db, const id *workspace, int64_t *day_r, int64_t to,
                          crypto_hash_sha256_state *h, struct roll_up *r)
{
    void *ctx = talloc_new(NULL);
    struct db_value args[] = {db_id(workspace), db_number(*day_r), db_number(to), db_number(SUMS)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_ROLL_UP_SUMS, args, 4, &rows);
    if (e == OK && rows->count == SUMS) {
        int64_t last = db_int(rows, SUMS - 1, ROLL_UP_SUMS_DAY);
        if (last == *day_r) { /* a day with more sums is read alone */
            args[2] = db_number(*day_r + 1);
            args[3] = db_number(INT64_MAX);
            e = db_run(db, ctx, SQL_ROLL_UP_SUMS, args, 4, &rows);
            last++;
        }
        to = last;
    }
    size_t n = e == OK ? rows->count : 0;
    while (n > 0 && db_int(rows, n - 1, ROLL_UP_SUMS_DAY) >= to)
        n--;
    if (e == OK)
        hash_sums(rows, n, h, r);
    *day_r = to;
    talloc_free(ctx);
    return e;
}

static enum err hash_budgets(struct db *db, void *ctx, const id *workspace, int month,
                             crypto_hash_sha256_state *h)
{
    struct db_value args[] = {db_id(workspace), db_number(month)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_ROLL_UP_BUDGETS, args, 2, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        hash_text(h, talloc_asprintf(rows, "budget %s %" PRId64 " %" PRId64 "\n",
                                     db_str(rows, i, ROLL_UP_BUDGETS_BUDGET_ID),
                                     db_int(rows, i, ROLL_UP_BUDGETS_START_MS),
                                     db_int(rows, i, ROLL_UP_BUDGETS_AMOUNT)));
    return e;
}

enum err roll_up_prove(struct db *db, const id *workspace, int month, const uint8_t *before,
                       struct roll_up *r)
{
    static const uint8_t nothing[ROLL_UP_CHECKSUM] = {0};
    crypto_hash_sha256_state h;
    char text[CALENDAR_MONTH_SIZE];
    enum err e = OK;
    *r = (struct roll_up){.workspace_id = *workspace, .month = month};
    crypto_hash_sha256_init(&h);
    crypto_hash_sha256_update(&h, before ? before : nothing, ROLL_UP_CHECKSUM);
    hash_text(&h, workspace->text);
    hash_text(&h, calendar_month_text(month, text));
    hash_text(&h, "\n");
    for (int64_t day = calendar_month_day(month); e == OK && day < calendar_month_day(month + 1);)
        e = hash_days(db, workspace, &day, calendar_month_day(month + 1), &h, r);
    void *ctx = talloc_new(NULL);
    if (e == OK)
        e = hash_budgets(db, ctx, workspace, month, &h);
    talloc_free(ctx);
    crypto_hash_sha256_final(&h, r->checksum);
    return e;
}

/* --- a slice --- */

struct share {
    uint8_t mark[MARK];
    int64_t amount;
};

struct slice {
    id workspace;
    int month;
    uint64_t n;
    bool ended;

    struct db_rows *rows;
    /* Of these, rows of the ledger that the slice removes, and their sum. */
    id *ids;
    size_t ids_n, changes;
    int64_t amount;
    struct day_sum *sums;
    size_t sums_n;
    struct share *shares;
    size_t shares_n;
    bool has_grants;
};

static int compare_shares(const void *a, const void *b)
{
    const struct share *x = a, *y = b;
    return memcmp(x->mark, y->mark, MARK);
}

static void add_share(void *kept, const void *equal)
{
    ((struct share *)kept)->amount += ((const struct share *)equal)->amount;
}

/* Rows from `i` on that are parts of one row of the ledger. */
static size_t parts_of(const struct db_rows *rows, size_t i)
{
    id first = db_get_id(rows, i, ROLL_UP_ROWS_ID);
    size_t end = i + 1;
    for (; end < rows->count; end++) {
        id other = db_get_id(rows, end, ROLL_UP_ROWS_ID);
        if (!id_equal(&other, &first))
            break;
    }
    return end - i;
}

/* A row of an earlier month that came late belongs to the first day of this one: that month is closed. */
static int64_t day_of(const struct slice *s, const id *row)
{
    int64_t day = id_ms(row) / DAY_MS, first = calendar_month_day(s->month);
    return day < first ? first : day;
}

static void add_part(struct slice *s, size_t i, bool is_first)
{
    const struct db_rows *rows = s->rows;
    id row = db_get_id(rows, i, ROLL_UP_ROWS_ID);
    bool is_part = !db_cell(rows, i, ROLL_UP_ROWS_PART_GRANT_ID)->is_null;
    s->sums[s->sums_n++] = (struct day_sum){
        .workspace_id = s->workspace,
        .day = day_of(s, &row),
        .kind = db_int(rows, i, ROLL_UP_ROWS_KIND),
        .responder_id = db_get_id(rows, i, ROLL_UP_ROWS_RESPONDER_ID),
        .key_id = db_get_id(rows, i, ROLL_UP_ROWS_KEY_ID),
        .grant_id = db_get_id(rows, i, is_part ? ROLL_UP_ROWS_PART_GRANT_ID : ROLL_UP_ROWS_GRANT_ID),
        .n = is_first,
        .amount = db_int(rows, i, is_part ? ROLL_UP_ROWS_PART : ROLL_UP_ROWS_AMOUNT),
    };
}

static void add_row(void *ctx, struct slice *s, size_t i, size_t parts)
{
    const struct db_cell *marks = db_cell(s->rows, i, ROLL_UP_ROWS_BUDGETS);
    size_t marks_n = marks->is_null ? 0 : marks->size / MARK;
    int64_t amount = db_int(s->rows, i, ROLL_UP_ROWS_AMOUNT);
    s->ids[s->ids_n++] = db_get_id(s->rows, i, ROLL_UP_ROWS_ID);
    s->amount += amount;
    s->has_grants = s->has_grants || db_int(s->rows, i, ROLL_UP_ROWS_KIND) == LEDGER_GRANT;
    for (size_t p = 0; p < parts; p++)
        add_part(s, i + p, p == 0);
    s->shares = talloc_realloc(ctx, s->shares, struct share, s->shares_n + marks_n + 1);
    for (size_t m = 0; m < marks_n; m++) {
        struct share *share = &s->shares[s->shares_n++];
        memcpy(share->mark, marks->text + m * MARK, MARK);
        share->amount = amount;
    }
}

/* Takes rows until the slice changes as many as it may: the row, its parts, their sums, the counters of its
 * budgets and its reference. */
static void choose_rows(void *ctx, struct slice *s)
{
    s->ids = talloc_array(ctx, id, s->rows->count + 1);
    s->sums = talloc_array(ctx, struct day_sum, s->rows->count + 1);
    for (size_t i = 0, parts; i < s->rows->count; i += parts) {
        const struct db_cell *marks = db_cell(s->rows, i, ROLL_UP_ROWS_BUDGETS);
        parts = parts_of(s->rows, i);
        size_t changes = 1 + 2 * parts + (marks->is_null ? 0 : marks->size / MARK) +
                         (db_int(s->rows, i, ROLL_UP_ROWS_KIND) == LEDGER_GRANT);
        changes -= db_cell(s->rows, i, ROLL_UP_ROWS_PART_GRANT_ID)->is_null; /* it has no part */
        if (s->ids_n > 0 && s->changes + changes > ROLL_UP_CHANGES - 1)
            break;
        s->changes += changes;
        add_row(ctx, s, i, parts);
    }
    s->sums_n = day_sums_merge(s->sums, s->sums_n);
    s->shares_n = sort_merge(s->shares, s->shares_n, sizeof *s->shares, compare_shares, add_share);
}

static id mark_id(const uint8_t mark[MARK])
{
    char hex[2 * MARK_ID + 1], text[ID_LENGTH + 1];
    id found = {{0}};
    sodium_bin2hex(hex, sizeof hex, mark, MARK_ID);
    snprintf(text, sizeof text, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    (void)id_parse(text, ID_LENGTH, &found);
    return found;
}

static enum err write_shares(struct db_tx *tx, const struct slice *s)
{
    enum { COLUMNS = ROLL_UP_BUDGETS_ADD_SET_COUNT };
    struct db_value *values = talloc_array(tx->ctx, struct db_value, s->shares_n * COLUMNS + 1);
    id *budgets = talloc_array(tx->ctx, id, s->shares_n + 1);
    for (size_t i = 0; i < s->shares_n; i++) {
        uint64_t start = 0;
        for (int b = MARK_ID; b < MARK; b++)
            start = start << 8 | s->shares[i].mark[b];
        budgets[i] = mark_id(s->shares[i].mark);
        struct db_value *v = &values[COLUMNS * i];
        v[ROLL_UP_BUDGETS_ADD_SET_WORKSPACE_ID] = db_id(&s->workspace);
        v[ROLL_UP_BUDGETS_ADD_SET_MONTH] = db_number(s->month);
        v[ROLL_UP_BUDGETS_ADD_SET_BUDGET_ID] = db_id(&budgets[i]);
        v[ROLL_UP_BUDGETS_ADD_SET_START_MS] = db_number((int64_t)start);
        v[ROLL_UP_BUDGETS_ADD_SET_AMOUNT] = db_number(s->shares[i].amount);
    }
    return db_run_each(tx->db, tx->ctx, SQL_ROLL_UP_BUDGETS_ADD, NULL, 0, values, COLUMNS, s->shares_n, NULL);
}

static enum err remove_rows(struct db_tx *tx, const struct slice *s)
{
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, s->ids_n), head = db_id(&s->workspace);
    struct db_value count[] = {db_number((int64_t)s->ids_n), db_number(s->amount), db_id(&s->workspace),
                               db_number(s->month)};
    enum err e = OK;
    for (size_t i = 0; i < s->ids_n; i++)
        ids[i] = db_id(&s->ids[i]);
    if (s->has_grants)
        e = db_run_each(tx->db, tx->ctx, SQL_ROLL_UP_KEEP_REFERENCES, &head, 1, ids, 1, s->ids_n, NULL);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_ROLL_UP_DELETE_PARTS, &head, 1, ids, 1, s->ids_n, NULL);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_ROLL_UP_DELETE_ROWS, &head, 1, ids, 1, s->ids_n, NULL);
    return e == OK ? db_run(tx->db, tx->ctx, SQL_ROLL_UP_COUNT, count, 4, NULL) : e;
}

static enum err close_month(struct db_tx *tx, struct slice *s, int64_t now_ms)
{
    struct db_value last[] = {db_id(&s->workspace), db_number(s->month)};
    struct db_rows *rows;
    struct roll_up r;
    enum err e = db_run(tx->db, tx->ctx, SQL_ROLL_UP_BEFORE, last, 2, &rows);
    if (e != OK)
        return e;
    const uint8_t *before = rows->count > 0 && !db_cell(rows, 0, ROLL_UP_BEFORE_CHECKSUM)->is_null
                                ? (const uint8_t *)db_str(rows, 0, ROLL_UP_BEFORE_CHECKSUM)
                                : NULL;
    e = roll_up_prove(tx->db, &s->workspace, s->month, before, &r);
    struct db_value args[] = {db_number(now_ms), db_bytes(r.checksum, ROLL_UP_CHECKSUM), last[0], last[1]};
    s->ended = true;
    failpoint("roll_up.end");
    return e == OK ? db_run(tx->db, tx->ctx, SQL_ROLL_UP_END, args, 4, NULL) : e;
}

/* If it runs again after a COMMIT whose outcome is unknown, it finds what is left. */
static enum err slice_work(struct db_tx *tx, void *arg)
{
    struct slice *s = arg;
    *s = (struct slice){.workspace = s->workspace, .month = s->month};
    struct db_value one[] = {db_id(&s->workspace), db_number(s->month)};
    struct db_rows *locked;
    enum err e = db_run(tx->db, tx->ctx, SQL_ROLL_UP_LOCK, one, 2, &locked);
    if (e != OK || locked->count == 0 || db_int(locked, 0, ROLL_UP_LOCK_STATE) != STATE_RUNNING)
        return e == OK ? ERR_NOT_FOUND : e;
    id before = db_get_id(locked, 0, ROLL_UP_LOCK_BEFORE_ID);
    struct db_value args[] = {one[0], db_id(&before), db_number(ROWS)};
    e = db_run(tx->db, tx->ctx, SQL_ROLL_UP_ROWS, args, 3, &s->rows);
    if (e != OK)
        return e;
    if (s->rows->count == 0)
        return close_month(tx, s, db_int(locked, 0, ROLL_UP_LOCK_NOW_MS));
    choose_rows(tx->ctx, s);
    e = day_sums_add(tx, SQL_ROLL_UP_SUMS_ADD, s->sums, s->sums_n);
    if (e == OK)
        e = write_shares(tx, s);
    if (e == OK)
        e = remove_rows(tx, s);
    s->n = s->ids_n;
    failpoint("roll_up.slice");
    return e;
}

/* --- the beginning of a month --- */

struct beginning {
    const struct roll_up_rules *rules;
    id workspace;
    int month;
    int64_t now_ms;
    bool begun, unsent;
};

/* The months that have begun since year 0, by the clock of MariaDB. */
static bool is_old_enough(const struct roll_up_rules *rules, int month, int64_t now_ms)
{
    int now = calendar_day_month(now_ms / DAY_MS);
    if (rules->before_month > 0)
        return month < rules->before_month && month < now;
    return rules->after_months > 0 && now - month > rules->after_months;
}

/* A destination of the usage push has got the ledger up to a number: whether it lacks rows of the month. */
static enum err find_unsent(struct db_tx *tx, struct beginning *b, const id *before, int64_t sent_to)
{
    struct db_value w = db_id(&b->workspace), to = db_id(before);
    struct db_value args[] = {db_number(sent_to), w, to, w, to};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_ROLL_UP_UNSENT, args, 5, &rows);
    b->unsent = e == OK && db_int(rows, 0, ROLL_UP_UNSENT_IS_UNSENT);
    return e;
}

static enum err find_blocks(struct db_tx *tx, struct beginning *b, const id *before, bool *blocked_r)
{
    struct db_value w = db_id(&b->workspace), to = db_id(before);
    struct db_value args[] = {w, to, w, to};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_ROLL_UP_BLOCKED, args, 4, &rows);
    if (e != OK)
        return e;
    *blocked_r =
        db_int(rows, 0, ROLL_UP_BLOCKED_HAS_EXECUTIONS) || db_int(rows, 0, ROLL_UP_BLOCKED_HAS_UNNUMBERED);
    if (*blocked_r || db_cell(rows, 0, ROLL_UP_BLOCKED_SENT_TO)->is_null)
        return OK;
    e = find_unsent(tx, b, before, db_int(rows, 0, ROLL_UP_BLOCKED_SENT_TO));
    int64_t due_ms = calendar_month_day(b->month + 1 + (int)b->rules->after_months) * DAY_MS;
    *blocked_r = b->unsent && b->now_ms < due_ms + b->rules->wait_days * DAY_MS;
    return e;
}

static enum err write_beginning(struct db_tx *tx, const struct beginning *b, const id *before)
{
    char month[CALENDAR_MONTH_SIZE];
    struct db_value v[ROLL_UP_BEGIN_SET_COUNT] = {
        [ROLL_UP_BEGIN_SET_WORKSPACE_ID] = db_id(&b->workspace),
        [ROLL_UP_BEGIN_SET_MONTH] = db_number(b->month),
        [ROLL_UP_BEGIN_SET_STATE] = db_number(STATE_RUNNING),
        [ROLL_UP_BEGIN_SET_BEFORE_ID] = db_id(before),
        [ROLL_UP_BEGIN_SET_UNSENT] = db_number(b->unsent),
        [ROLL_UP_BEGIN_SET_BEGUN_MS] = db_number(b->now_ms),
    };
    enum err e =
        db_run_each(tx->db, tx->ctx, SQL_ROLL_UP_BEGIN, NULL, 0, v, ROLL_UP_BEGIN_SET_COUNT, 1, NULL);
    const struct deed_detail detail[] = {{"month", calendar_month_text(b->month, month)}, {0}};
    return e == OK ? deed_record(tx, "billing.roll_up", &b->workspace, b->workspace.text, detail) : e;
}

static enum err begin_work(struct db_tx *tx, void *arg)
{
    struct beginning *b = arg;
    struct db_value one = db_id(&b->workspace);
    struct db_rows *last;
    bool blocked = false;
    b->begun = b->unsent = false;
    enum err e = db_run(tx->db, tx->ctx, SQL_ROLL_UP_LAST, &one, 1, &last);
    if (e != OK || (last->count > 0 && db_int(last, 0, ROLL_UP_LAST_STATE) != STATE_DONE))
        return e;
    if (last->count > 0 && db_int(last, 0, ROLL_UP_LAST_MONTH) >= b->month)
        b->month = (int)db_int(last, 0, ROLL_UP_LAST_MONTH) + 1; /* a row came late */
    if (!is_old_enough(b->rules, b->month, b->now_ms))
        return OK;
    id before = id_floor(calendar_month_day(b->month + 1) * DAY_MS);
    e = find_blocks(tx, b, &before, &blocked);
    if (e != OK || blocked)
        return e;
    b->begun = true;
    return write_beginning(tx, b, &before);
}

static enum err begin_months(struct db *db, const struct roll_up_rules *rules, const struct db_rows *rows,
                             id *after, bool *begun_r)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < rows->count && !*begun_r; i++) {
        id workspace = db_get_id(rows, i, ROLL_UP_CANDIDATES_WORKSPACE_ID);
        id first = db_get_id(rows, i, ROLL_UP_CANDIDATES_FIRST_ID);
        struct beginning b = {.rules = rules,
                              .workspace = workspace,
                              .month = month_of_id(&first),
                              .now_ms = db_int(rows, i, ROLL_UP_CANDIDATES_NOW_MS)};
        bool wanted = !id_is_set(&rules->workspace) || id_equal(&rules->workspace, &workspace);
        if (wanted && id_is_set(&first) && is_old_enough(rules, b.month, b.now_ms))
            e = db_transaction(db, begin_work, &b);
        *begun_r = e == OK && b.begun;
        if (*begun_r && b.unsent)
            log_warn("roll_up.unsent", "workspace=%s month=%d", workspace.text, b.month);
        if (!*begun_r) /* one that was begun may have another month */
            *after = workspace;
    }
    return e;
}

enum err roll_up_step(struct db *db, const struct roll_up_rules *rules, id *after, uint64_t *n_r,
                      bool *more_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value from = id_is_set(after) ? db_id(after) : db_text(none);
    struct db_rows *rows;
    *n_r = 0;
    *more_r = false;
    enum err e = db_run(db, scratch, SQL_ROLL_UP_RUNNING, NULL, 0, &rows);
    if (e == OK && rows->count > 0) {
        struct slice s = {.workspace = db_get_id(rows, 0, ROLL_UP_RUNNING_WORKSPACE_ID),
                          .month = (int)db_int(rows, 0, ROLL_UP_RUNNING_MONTH)};
        e = db_transaction(db, slice_work, &s);
        *n_r = e == OK ? s.n : 0;
        *more_r = e == OK;
        e = e == ERR_NOT_FOUND ? OK : e; /* another process is at it */
    } else if (e == OK && (rules->after_months > 0 || rules->before_month > 0)) {
        e = db_run(db, scratch, SQL_ROLL_UP_CANDIDATES, &from, 1, &rows);
        bool begun = false;
        if (e == OK)
            e = begin_months(db, rules, rows, after, &begun);
        *more_r = begun || (e == OK && rows->count == CANDIDATES);
        if (e == OK && !*more_r)
            *after = (id){{0}};
    }
    talloc_free(scratch);
    return e;
}

/* --- reading --- */

enum err roll_up_list(struct db *db, void *ctx, const id *workspace, struct roll_up **list_r, size_t *n_r)
{
    struct db_value args[] = {workspace ? db_id(workspace) : db_text(none),
                              workspace ? db_id(workspace) : db_text(highest)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_ROLL_UP_LIST, args, 2, &rows);
    *n_r = e == OK ? rows->count : 0;
    *list_r = talloc_zero_array(ctx, struct roll_up, *n_r + 1);
    for (size_t i = 0; i < *n_r; i++) {
        const struct db_cell *sum = db_cell(rows, i, ROLL_UP_LIST_CHECKSUM);
        struct roll_up *r = &(*list_r)[i];
        *r = (struct roll_up){.workspace_id = db_get_id(rows, i, ROLL_UP_LIST_WORKSPACE_ID),
                              .workspace = db_str(rows, i, ROLL_UP_LIST_WORKSPACE),
                              .month = (int)db_int(rows, i, ROLL_UP_LIST_MONTH),
                              .done = db_int(rows, i, ROLL_UP_LIST_STATE) == STATE_DONE,
                              .unsent = db_int(rows, i, ROLL_UP_LIST_UNSENT) != 0,
                              .n = db_int(rows, i, ROLL_UP_LIST_N),
                              .amount = db_int(rows, i, ROLL_UP_LIST_AMOUNT),
                              .begun_ms = db_int(rows, i, ROLL_UP_LIST_BEGUN_MS),
                              .ended_ms = db_int(rows, i, ROLL_UP_LIST_ENDED_MS)};
        if (!sum->is_null && sum->size == ROLL_UP_CHECKSUM)
            memcpy(r->checksum, sum->text, ROLL_UP_CHECKSUM);
    }
    return e;
}

enum err rolled_up_before(struct db *db, const id *workspace, id *before_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value one = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_ROLLED_UP_BEFORE, &one, 1, &rows);
    *before_r = e == OK && rows->count > 0 ? db_get_id(rows, 0, ROLLED_UP_BEFORE_BEFORE_ID) : (id){{0}};
    talloc_free(scratch);
    return e;
}
