#include "billing/statement.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "account/account.h"

/* Columns `source` of billing_rows. */
enum source { BEFORE_MONTH = 1, IN_MONTH, NOT_SUMMED };
enum { SLOT_MS = 900000 };

static const char lowest[] = "00000000-0000-0000-0000-000000000000";
static const char highest[] = "ffffffff-ffff-ffff-ffff-ffffffffffff";

static const struct billing_kind kinds[BILLING_KINDS] = {
    [LEDGER_GRANT] = {"grants", 1, false},  [LEDGER_DEBIT] = {"usage", -1, true},
    [LEDGER_REFUND] = {"refunds", 1, true}, [LEDGER_EXPIRY] = {"expired", -1, false},
    [LEDGER_VOID] = {"voided", -1, false},  [LEDGER_RELEASE] = {"releases", 1, true},
};

const struct billing_kind *billing_kind(int kind)
{
    return &kinds[kind];
}

/* --- sums --- */

int64_t billing_runs(const struct billing_sums *s)
{
    return s->n[LEDGER_DEBIT];
}

int64_t billing_debited(const struct billing_sums *s)
{
    return -s->amount[LEDGER_DEBIT];
}

int64_t billing_used(const struct billing_sums *s)
{
    int64_t used = 0;
    for (int k = 0; k < BILLING_KINDS; k++)
        used -= kinds[k].is_usage ? s->amount[k] : 0;
    return used;
}

int64_t billing_refunded(const struct billing_sums *s)
{
    return billing_debited(s) - billing_used(s);
}

int64_t billing_change(const struct billing_sums *s)
{
    int64_t change = 0;
    for (int k = 0; k < BILLING_KINDS; k++)
        change += s->amount[k];
    return change;
}

void billing_sums_add(struct billing_sums *to, const struct billing_sums *from)
{
    for (int k = 0; k < BILLING_KINDS; k++) {
        to->n[k] += from->n[k];
        to->amount[k] += from->amount[k];
    }
}

static void add_row(struct billing_sums *s, const struct db_rows *rows, size_t i)
{
    int64_t kind = db_int(rows, i, BILLING_ROWS_KIND);
    size_t at = kind > 0 && kind < BILLING_KINDS ? (size_t)kind : 0;
    s->n[at] += db_int(rows, i, BILLING_ROWS_N);
    s->amount[at] += db_int(rows, i, BILLING_ROWS_AMOUNT);
}

/* The id of a column; the zeros of the sums: not set. */
static id id_of(const struct db_rows *rows, size_t i, size_t column)
{
    id value = db_get_id(rows, i, column);
    return strcmp(value.text, lowest) == 0 ? (id){{0}} : value;
}

/* --- lines and grants --- */

static int compare_lines(const void *a, const void *b)
{
    const struct billing_line *x = a, *y = b;
    int order = (x->day > y->day) - (x->day < y->day);
    order = order ? order : strcmp(x->responder_id.text, y->responder_id.text);
    return order ? order : strcmp(x->key_id.text, y->key_id.text);
}

static int compare_grants(const void *a, const void *b)
{
    const struct billing_grant *x = a, *y = b;
    return strcmp(x->grant_id.text, y->grant_id.text);
}

static void merge_lines(struct statement *s)
{
    size_t n = 0;
    if (s->lines_n > 0)
        qsort(s->lines, s->lines_n, sizeof *s->lines, compare_lines);
    for (size_t i = 0; i < s->lines_n; i++) {
        if (n > 0 && compare_lines(&s->lines[n - 1], &s->lines[i]) == 0)
            billing_sums_add(&s->lines[n - 1].sums, &s->lines[i].sums);
        else
            s->lines[n++] = s->lines[i];
    }
    s->lines_n = n;
}

static void merge_grants(struct statement *s)
{
    size_t n = 0;
    if (s->grants_n > 0)
        qsort(s->grants, s->grants_n, sizeof *s->grants, compare_grants);
    for (size_t i = 0; i < s->grants_n; i++) {
        if (n > 0 && compare_grants(&s->grants[n - 1], &s->grants[i]) == 0)
            billing_sums_add(&s->grants[n - 1].sums, &s->grants[i].sums);
        else
            s->grants[n++] = s->grants[i];
    }
    s->grants_n = n;
}

/* A row of the month. `day` is its day, or 0 if days are not asked for. */
static void add_to_month(void *ctx, struct statement *s, unsigned by, const struct db_rows *rows, size_t i,
                         int64_t day)
{
    int64_t kind = db_int(rows, i, BILLING_ROWS_KIND);
    bool is_known = kind > 0 && kind < BILLING_KINDS;
    add_row(&s->sums, rows, i);
    if (is_known && kinds[kind].is_usage) {
        if (s->lines_n == talloc_array_length(s->lines))
            s->lines = talloc_realloc(ctx, s->lines, struct billing_line, 2 * s->lines_n + 16);
        struct billing_line *l = &s->lines[s->lines_n++];
        *l = (struct billing_line){.day = by & BILLING_BY_DAY ? day : 0};
        if (by & BILLING_BY_RESPONDER)
            l->responder_id = id_of(rows, i, BILLING_ROWS_RESPONDER_ID);
        if (by & BILLING_BY_KEY)
            l->key_id = id_of(rows, i, BILLING_ROWS_KEY_ID);
        add_row(&l->sums, rows, i);
    } else if (is_known && kinds[kind].member) {
        if (s->grants_n == talloc_array_length(s->grants))
            s->grants = talloc_realloc(ctx, s->grants, struct billing_grant, 2 * s->grants_n + 16);
        struct billing_grant *g = &s->grants[s->grants_n++];
        *g = (struct billing_grant){.grant_id = id_of(rows, i, BILLING_ROWS_GRANT_ID)};
        add_row(&g->sums, rows, i);
    }
}

static void add_to_statement(void *ctx, struct statement *s, unsigned by, struct calendar_days *days,
                             const struct db_rows *rows, size_t i)
{
    struct billing_sums before = {0};
    int64_t source = db_int(rows, i, BILLING_ROWS_SOURCE), day = db_int(rows, i, BILLING_ROWS_DAY);
    if (source == NOT_SUMMED)
        day = calendar_days_of(days, day * SLOT_MS);
    if (source == IN_MONTH || (source == NOT_SUMMED && calendar_day_month(day) == s->month)) {
        add_to_month(ctx, s, by, rows, i, day);
    } else if (source == BEFORE_MONTH || calendar_day_month(day) < s->month) {
        add_row(&before, rows, i);
        s->opening += billing_change(&before);
    }
}

/* --- names --- */

struct name {
    id id;
    const char *text;
};

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    return strcmp(x->id.text, y->id.text);
}

static const char *find_name(const struct name *names, size_t n, const id *wanted)
{
    struct name key = {.id = *wanted};
    const struct name *found = n > 0 ? bsearch(&key, names, n, sizeof *names, compare_names) : NULL;
    return found ? found->text : NULL;
}

/* Reads the names of `n` ids with queries whose columns are an id and a name. */
static enum err read_names(struct db *db, void *ctx, const enum sql_id *queries, size_t queries_n,
                           const id *ids, size_t n, struct name **names_r, size_t *names_n_r)
{
    struct db_value *values = talloc_array(ctx, struct db_value, n + 1);
    struct name *names = talloc_array(ctx, struct name, queries_n * n + 1);
    size_t names_n = 0;
    enum err e = OK;
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&ids[i]);
    for (size_t q = 0; e == OK && q < queries_n; q++) {
        struct db_rows *rows;
        e = db_run_each(db, ctx, queries[q], NULL, 0, values, 1, n, &rows);
        /* a list that was padded may return a row twice, one after the other */
        for (size_t i = 0; e == OK && i < rows->count && names_n < queries_n * n; i++)
            names[names_n++] =
                (struct name){db_get_id(rows, i, BILLING_KEYS_ID), db_str(rows, i, BILLING_KEYS_PREFIX)};
    }
    if (names_n > 0)
        qsort(names, names_n, sizeof *names, compare_names);
    *names_r = names;
    *names_n_r = names_n;
    return e;
}

static enum err name_lines(struct db *db, void *ctx, struct statement *s)
{
    static const enum sql_id responder_queries[] = {SQL_BILLING_RESPONDERS, SQL_BILLING_SKILLS};
    static const enum sql_id key_queries[] = {SQL_BILLING_KEYS};
    id *responders = talloc_array(ctx, id, s->lines_n + 1), *keys = talloc_array(ctx, id, s->lines_n + 1);
    size_t responders_n = 0, keys_n = 0, names_n = 0, prefixes_n = 0;
    struct name *names, *prefixes;
    for (size_t i = 0; i < s->lines_n; i++) {
        if (id_is_set(&s->lines[i].responder_id))
            responders[responders_n++] = s->lines[i].responder_id;
        if (id_is_set(&s->lines[i].key_id))
            keys[keys_n++] = s->lines[i].key_id;
    }
    responders_n = id_sort_distinct(responders, responders_n);
    keys_n = id_sort_distinct(keys, keys_n);
    enum err e = read_names(db, ctx, responder_queries, 2, responders, responders_n, &names, &names_n);
    if (e == OK)
        e = read_names(db, ctx, key_queries, 1, keys, keys_n, &prefixes, &prefixes_n);
    for (size_t i = 0; e == OK && i < s->lines_n; i++) {
        s->lines[i].responder = find_name(names, names_n, &s->lines[i].responder_id);
        s->lines[i].key_prefix = find_name(prefixes, prefixes_n, &s->lines[i].key_id);
    }
    return e;
}

static enum err name_grants(struct db *db, void *ctx, struct statement *s)
{
    struct db_value *values = talloc_array(ctx, struct db_value, s->grants_n + 1),
                    head = db_id(&s->workspace_id);
    struct db_rows *rows;
    for (size_t i = 0; i < s->grants_n; i++)
        values[i] = db_id(&s->grants[i].grant_id);
    enum err e = db_run_each(db, ctx, SQL_BILLING_GRANTS, &head, 1, values, 1, s->grants_n, &rows);
    for (size_t r = 0; e == OK && s->grants_n > 0 && r < rows->count; r++) {
        struct billing_grant key = {.grant_id = db_get_id(rows, r, BILLING_GRANTS_ID)};
        struct billing_grant *g = bsearch(&key, s->grants, s->grants_n, sizeof *s->grants, compare_grants);
        if (g) {
            g->category = db_str(rows, r, BILLING_GRANTS_CATEGORY);
            g->reference = db_str(rows, r, BILLING_GRANTS_REFERENCE);
            g->note = db_str(rows, r, BILLING_GRANTS_NOTE);
        }
    }
    return e;
}

/* --- reading --- */

/* A list of statements by their workspaces' ids. */
struct by_id {
    struct statement *statement;
};

static int compare_ids(const void *a, const void *b)
{
    const struct by_id *x = a, *y = b;
    return strcmp(x->statement->workspace_id.text, y->statement->workspace_id.text);
}

static struct statement *find_statement(const struct by_id *by_id, size_t n, const id *workspace)
{
    struct statement key = {.workspace_id = *workspace};
    struct by_id wanted = {&key};
    const struct by_id *found = n > 0 ? bsearch(&wanted, by_id, n, sizeof *by_id, compare_ids) : NULL;
    return found ? found->statement : NULL;
}

static void add_rows(void *ctx, struct statement *list, size_t n, unsigned by, const struct db_rows *rows)
{
    struct by_id *by_id = talloc_array(ctx, struct by_id, n + 1);
    struct statement *last = NULL;
    struct calendar_days days = {0};
    for (size_t i = 0; i < n; i++)
        by_id[i] = (struct by_id){&list[i]};
    if (n > 0)
        qsort(by_id, n, sizeof *by_id, compare_ids);
    for (size_t i = 0; i < rows->count; i++) {
        id workspace = db_get_id(rows, i, BILLING_ROWS_WORKSPACE_ID);
        struct statement *s = find_statement(by_id, n, &workspace);
        if (s && s != last)
            days = (struct calendar_days){.zone = calendar_zone(ctx, s->timezone)};
        if (s)
            add_to_statement(ctx, s, by, &days, rows, i);
        last = s ? s : last;
    }
}

static enum err finish(struct db *db, void *ctx, const struct statement_query *q, struct statement *s)
{
    enum err e = OK;
    merge_lines(s);
    merge_grants(s);
    s->closing = s->opening + billing_change(&s->sums);
    s->period = calendar_month_period(calendar_zone(ctx, s->timezone), s->month);
    if (q->names)
        e = name_lines(db, ctx, s);
    return e == OK && q->names ? name_grants(db, ctx, s) : e;
}

enum err statements_read(struct db *db, void *ctx, const struct statement_query *q, struct statement **list_r,
                         size_t *n_r)
{
    struct db_value from = q->workspace ? db_id(q->workspace) : db_text(lowest);
    struct db_value to = q->workspace ? db_id(q->workspace) : db_text(highest);
    struct db_value workspaces[] = {from, to};
    struct db_value args[] = {from,
                              to,
                              db_number(q->month),
                              db_number((q->by & BILLING_BY_DAY) != 0),
                              from,
                              to,
                              db_number(calendar_month_day(q->month)),
                              db_number(calendar_month_day(q->month + 1)),
                              from,
                              to,
                              db_number(q->rows_max > 0 ? (int64_t)q->rows_max + 1 : INT64_MAX)};
    struct db_rows *rows, *sums;
    enum err e = db_run(db, ctx, SQL_BILLING_WORKSPACES, workspaces, 2, &rows);
    if (e == OK)
        e = db_run(db, ctx, SQL_BILLING_ROWS, args, sizeof args / sizeof args[0], &sums);
    if (e == OK && q->rows_max > 0 && sums->count > q->rows_max)
        e = ERR_LIMIT;
    if (e != OK)
        return e;
    struct statement *list = talloc_zero_array(ctx, struct statement, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        const char *zone = db_str(rows, i, BILLING_WORKSPACES_TIMEZONE);
        list[i] = (struct statement){.workspace_id = db_get_id(rows, i, BILLING_WORKSPACES_ID),
                                     .workspace = db_str(rows, i, BILLING_WORKSPACES_NAME),
                                     .timezone = zone ? zone : "UTC",
                                     .month = q->month};
    }
    add_rows(ctx, list, rows->count, q->by, sums);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        e = finish(db, ctx, q, &list[i]);
    *list_r = list;
    *n_r = rows->count;
    return e;
}

enum err billing_month_of(struct db *db, const id *workspace, int month, struct period *period_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value args[] = {db_id(workspace), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_BILLING_WORKSPACES, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *period_r = calendar_month_period(
            calendar_zone(scratch, db_str(rows, 0, BILLING_WORKSPACES_TIMEZONE)), month);
    talloc_free(scratch);
    return e;
}
