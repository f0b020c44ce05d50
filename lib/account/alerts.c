#include "account/alerts.h"

#include <stdlib.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "outbox/outbox.h"
#include "schedule/calendar.h"
#include "schedule/period.h"
#include "json/json.h"

/* --- rows --- */

enum err alerts_read(struct db *db, void *ctx, const id *workspace, struct alert_list *list_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_ALERTS_READ, &arg, 1, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    *list_r = (struct alert_list){
        .alerts = talloc_zero_array(ctx, struct alert, rows->count),
        .balance = db_int(rows, 0, ALERTS_READ_BALANCE),
        .top_up = db_int_or(rows, 0, ALERTS_READ_TOP_UP, -1),
        .spent = db_int(rows, 0, ALERTS_READ_SPENT),
        .until_ms = db_int(rows, 0, ALERTS_READ_SPENT_UNTIL_MS),
        .timezone = db_str(rows, 0, ALERTS_READ_TIMEZONE),
    };
    for (size_t r = 0; r < rows->count; r++) {
        int64_t kind = db_int(rows, r, ALERTS_READ_KIND);
        if (kind < ALERT_CREDITS || kind > ALERT_SPEND)
            continue; /* none, or that of a later version, whose programs look after it */
        list_r->alerts[list_r->n++] = (struct alert){
            .kind = (enum alert_kind)kind,
            .value = db_int(rows, r, ALERTS_READ_VALUE),
            .at_least = db_int(rows, r, ALERTS_READ_AT_LEAST),
            .line = db_int_or(rows, r, ALERTS_READ_LINE, -1),
            .usual = db_int_or(rows, r, ALERTS_READ_USUAL, -1),
            .since_ms = db_int(rows, r, ALERTS_READ_SINCE_MS),
            .told = db_int(rows, r, ALERTS_READ_TOLD) != 0,
        };
    }
    return OK;
}

enum err alerts_put(struct db_tx *tx, const id *workspace, const struct alert *alerts, size_t n)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * ALERTS_PUT_SET_COUNT + 1);
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        if (!alerts[i].changed)
            continue;
        struct db_value *v = &values[ALERTS_PUT_SET_COUNT * rows++];
        v[ALERTS_PUT_SET_WORKSPACE_ID] = db_id(workspace);
        v[ALERTS_PUT_SET_KIND] = db_number(alerts[i].kind);
        v[ALERTS_PUT_SET_VALUE] = db_number(alerts[i].value);
        v[ALERTS_PUT_SET_AT_LEAST] = db_number(alerts[i].at_least);
        v[ALERTS_PUT_SET_LINE] = db_number_or_null(alerts[i].line, alerts[i].line >= 0);
        v[ALERTS_PUT_SET_USUAL] = db_number_or_null(alerts[i].usual, alerts[i].usual >= 0);
        v[ALERTS_PUT_SET_SINCE_MS] = db_number(alerts[i].since_ms);
        v[ALERTS_PUT_SET_TOLD] = db_number(alerts[i].told);
    }
    return db_run_each(tx->db, tx->ctx, SQL_ALERTS_PUT, NULL, 0, values, ALERTS_PUT_SET_COUNT, rows, NULL);
}

/* --- what the lines are --- */

int64_t alert_percent_of(int64_t micro, int64_t percent)
{
    int64_t hundreds;
    if (__builtin_mul_overflow(micro / 100, percent, &hundreds))
        return INT64_MAX;
    return __builtin_add_overflow(hundreds, micro % 100 * percent / 100, &hundreds) ? INT64_MAX : hundreds;
}

int64_t alert_spend_line(const struct alert *spend)
{
    int64_t line = spend->usual < 0 ? -1 : alert_percent_of(spend->usual, spend->value);
    return line < 0 || line > spend->at_least ? line : spend->at_least;
}

static int compare_amounts(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t alert_median(int64_t *days, size_t n)
{
    if (n < ALERT_DAYS_MIN)
        return -1;
    qsort(days, n, sizeof *days, compare_amounts);
    int64_t low = days[(n - 1) / 2] > 0 ? days[(n - 1) / 2] : 0, high = days[n / 2] > 0 ? days[n / 2] : 0;
    return low + (high - low) / 2;
}

/* --- the balance --- */

void alerts_decide_balance(struct account_alerts *nearest, int64_t balance, struct alert *alerts, size_t n)
{
    nearest->below = -1;
    nearest->above = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        struct alert *alert = &alerts[i];
        bool is_low = alert->line >= 0 && balance <= alert->line;
        if (alert->kind == ALERT_SPEND)
            continue;
        alert->fires = is_low && !alert->told;
        alert->changed |= is_low != alert->told;
        alert->told = is_low;
        if (is_low && alert->line < nearest->above)
            nearest->above = alert->line;
        if (!is_low && alert->line > nearest->below)
            nearest->below = alert->line;
    }
}

static void move_lines(struct alert_list *list, int64_t top_up)
{
    for (size_t i = 0; i < list->n; i++) {
        struct alert *alert = &list->alerts[i];
        if (alert->kind == ALERT_PERCENT) {
            alert->line = alert_percent_of(top_up, alert->value);
            alert->changed = true;
        }
    }
}

/* --- what is spent --- */

/* What was spent in each whole day before `start_ms`, the last first. *first_r: the start of the earliest. */
static size_t sum_days(struct zone *zone, const struct db_rows *rows, int64_t start_ms, int64_t since_ms,
                       int64_t days[ALERT_DAYS], int64_t *first_r)
{
    size_t n = 0;
    *first_r = start_ms;
    while (n < ALERT_DAYS) {
        struct period day = period_at(zone, PERIOD_DAY, *first_r - 1);
        if (day.start_ms < since_ms)
            break;
        days[n] = 0;
        for (size_t r = 0; r < rows->count; r++) {
            int64_t end_ms = db_int(rows, r, ALERT_DAYS_END_MS);
            if (end_ms > day.start_ms && end_ms <= *first_r)
                days[n] += db_int(rows, r, ALERT_DAYS_SPENT);
        }
        *first_r = day.start_ms;
        n++;
    }
    return n;
}

/* Stores the day that is over, and finds out what is usual. */
static enum err begin_day(struct db_tx *tx, const struct alert_subject *a, const char *timezone,
                          struct alert *spend)
{
    struct db_value args[] = {db_id(&a->workspace_id), db_number(a->alerts->until_ms),
                              db_number(a->alerts->spent)};
    int64_t days[ALERT_DAYS], first_ms;
    struct db_rows *rows;
    struct zone *zone = calendar_zone(tx->ctx, timezone);
    enum err e = a->alerts->until_ms > spend->since_ms
                     ? db_run(tx->db, tx->ctx, SQL_ALERT_DAY_INSERT, args, 3, NULL)
                     : OK;
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_ALERT_DAYS, args, 1, &rows);
    if (e != OK)
        return e;
    struct period day = period_after(zone, PERIOD_DAY, (struct period){0, a->alerts->until_ms}, a->now_ms);
    spend->usual = alert_median(days, sum_days(zone, rows, day.start_ms, spend->since_ms, days, &first_ms));
    spend->line = alert_spend_line(spend);
    spend->told = false;
    spend->changed = true;
    a->alerts->spent = 0;
    a->alerts->until_ms = day.end_ms;
    a->alerts->spent_line = spend->line < 0 ? INT64_MAX : spend->line;
    args[1] = db_number(first_ms);
    return db_run(tx->db, tx->ctx, SQL_ALERT_DAYS_DELETE, args, 2, NULL);
}

static struct alert *find_spend(const struct alert_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->alerts[i].kind == ALERT_SPEND)
            return &list->alerts[i];
    }
    return NULL;
}

static enum err decide_spend(struct db_tx *tx, const struct alert_subject *a, struct alert_list *list,
                             bool is_over)
{
    struct alert *spend = find_spend(list);
    enum err e = spend && is_over ? begin_day(tx, a, list->timezone, spend) : OK;
    a->alerts->spent += a->alerts->spends;
    a->alerts->spends = 0;
    if (e == OK && spend && a->alerts->spent > a->alerts->spent_line) {
        spend->told = spend->fires = spend->changed = true;
        a->alerts->spent_line = INT64_MAX;
    }
    return e;
}

/* --- telling and writing --- */

static const char *message(void *ctx, const struct alert_subject *a, const struct alert *alert)
{
    json_object *o = json_own(ctx, json_object_new_object());
    char end[CLOCK_TEXT_SIZE];
    if (alert->kind == ALERT_SPEND) {
        json_object_object_add(o, "percent", json_object_new_int64(alert->value));
        json_object_object_add(o, "at_least", credits_json(alert->at_least));
        json_object_object_add(o, "usual", credits_json(alert->usual));
        json_object_object_add(o, "line", credits_json(alert->line));
        json_object_object_add(o, "spent", credits_json(a->alerts->spent));
        json_object_object_add(o, "reset_at",
                               json_object_new_string(clock_text_offset(a->alerts->until_ms, end)));
        return json_text(o, NULL);
    }
    bool is_percent = alert->kind == ALERT_PERCENT;
    json_object_object_add(o, "credits", is_percent ? NULL : credits_json(alert->value));
    json_object_object_add(o, "percent", is_percent ? json_object_new_int64(alert->value) : NULL);
    json_object_object_add(o, "line", credits_json(alert->line));
    json_object_object_add(o, "balance", credits_json(a->balance));
    return json_text(o, NULL);
}

static enum err tell(struct db_tx *tx, const struct alert_subject *a, const struct alert_list *list)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < list->n; i++) {
        const struct alert *alert = &list->alerts[i];
        if (alert->fires)
            e = webhook_put_workspace_event(tx, &a->workspace_id,
                                            alert->kind == ALERT_SPEND ? WEBHOOK_CREDITS_SPEND_HIGH
                                                                       : WEBHOOK_CREDITS_LOW,
                                            message(tx->ctx, a, alert));
    }
    return e;
}

static enum err write_account(struct db_tx *tx, const struct alert_subject *a)
{
    struct db_value args[] = {
        db_number(a->alerts->flags),    db_number(a->alerts->below),
        db_number(a->alerts->above),    db_number_or_null(a->top_up, a->top_up >= 0),
        db_number(a->alerts->until_ms), db_number(a->alerts->spent_line),
        db_id(&a->workspace_id),
    };
    return db_run(tx->db, tx->ctx, SQL_ACCOUNT_ALERTS, args, sizeof args / sizeof args[0], NULL);
}

enum err alerts_write(struct db_tx *tx, const struct alert_subject *a)
{
    struct account_alerts *s = a->alerts;
    struct alert_list list = {0};
    bool counts = s->flags & ACCOUNT_ALERTS_SPEND;
    bool is_over = counts && a->now_ms >= s->until_ms;
    bool crosses =
        a->balance <= s->below || a->balance > s->above || (counts && s->spent + s->spends > s->spent_line);
    if (!counts)
        s->spends = 0;
    if (a->top_up < 0 && !is_over && !crosses && !s->changed) {
        s->spent += s->spends;
        s->spends = 0;
        return OK;
    }
    enum err e = s->flags ? alerts_read(tx->db, tx->ctx, &a->workspace_id, &list) : OK;
    if (e == OK && a->top_up >= 0)
        move_lines(&list, a->top_up);
    if (e == OK) {
        alerts_decide_balance(s, a->balance, list.alerts, list.n);
        e = decide_spend(tx, a, &list, is_over);
    }
    if (e == OK)
        e = alerts_put(tx, &a->workspace_id, list.alerts, list.n);
    if (e == OK)
        e = tell(tx, a, &list);
    return e == OK ? write_account(tx, a) : e;
}
