#include "spending/alert_store.h"

#include <inttypes.h>
#include <talloc.h>

#include "account/credits.h"
#include "account/grants.h"
#include "deed/deed.h"
#include "schedule/calendar.h"
#include "schedule/period.h"

static const char deed_name[] = "credits.alerts";

bool alert_settings_add(struct alert_settings *s, enum alert_kind kind, int64_t value)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->wanted[i].kind == kind && s->wanted[i].value == value)
            return false;
    }
    if (s->n == ALERT_LINES_MAX)
        return false;
    s->wanted[s->n++] = (struct alert){.kind = kind, .value = value, .line = -1, .usual = -1};
    return true;
}

struct storing {
    const id *workspace;
    const struct alert_settings *settings;
};

static const struct alert *find_stored(const struct alert_list *stored, const struct alert *wanted)
{
    for (size_t i = 0; i < stored->n; i++) {
        const struct alert *alert = &stored->alerts[i];
        if (alert->kind == wanted->kind && (alert->kind == ALERT_SPEND || alert->value == wanted->value))
            return alert;
    }
    return NULL;
}

static int64_t end_of_day(void *ctx, const char *timezone, int64_t now_ms)
{
    struct zone *zone = calendar_zone(ctx, timezone);
    return period_at(zone, PERIOD_DAY, now_ms).end_ms;
}

static int64_t line_of(const struct alert *alert, const struct alert_list *stored)
{
    switch (alert->kind) {
    case ALERT_CREDITS:
        return alert->value;
    case ALERT_PERCENT:
        return stored->top_up < 0 ? -1 : alert_percent_of(stored->top_up, alert->value);
    default:
        return alert_spend_line(alert);
    }
}

/* Spending that was counted before is counted on, so that what is usual stays known. */
static void set_spend(struct db_tx *tx, struct account *a, const struct alert_list *stored,
                      struct alert *spend)
{
    bool is_new = !find_stored(stored, spend);
    if (is_new) {
        a->alerts.spent = 0;
        a->alerts.until_ms = spend->since_ms = end_of_day(tx->ctx, stored->timezone, a->now_ms);
    }
    a->alerts.spent_line = spend->told || spend->line < 0 ? INT64_MAX : spend->line;
    a->alerts.flags |= ACCOUNT_ALERTS_SPEND;
}

static enum err replace(struct db_tx *tx, struct account *a, const struct alert_settings *settings)
{
    struct alert_list stored;
    struct alert *alerts = talloc_array(tx->ctx, struct alert, settings->n + 1);
    struct db_value args[] = {db_id(&a->workspace_id), db_number(INT64_MAX)};
    bool counted = a->alerts.flags & ACCOUNT_ALERTS_SPEND;
    enum err e = alerts_read(tx->db, tx->ctx, &a->workspace_id, &stored);
    if (e != OK)
        return e;
    a->alerts.flags = 0;
    a->alerts.changed = true;
    for (size_t i = 0; i < settings->n; i++) {
        const struct alert *old = find_stored(&stored, &settings->wanted[i]);
        alerts[i] = settings->wanted[i];
        alerts[i].usual = old ? old->usual : -1;
        alerts[i].since_ms = old ? old->since_ms : 0;
        alerts[i].told = old && old->told;
        alerts[i].line = line_of(&alerts[i], &stored);
        alerts[i].changed = true;
        if (alerts[i].kind == ALERT_SPEND)
            set_spend(tx, a, &stored, &alerts[i]);
        else
            a->alerts.flags |= ACCOUNT_ALERTS_BALANCE;
    }
    e = db_run(tx->db, tx->ctx, SQL_ALERTS_DELETE, args, 1, NULL);
    if (e == OK)
        e = alerts_put(tx, &a->workspace_id, alerts, settings->n);
    if (e == OK && counted && !(a->alerts.flags & ACCOUNT_ALERTS_SPEND)) {
        a->alerts.spent = a->alerts.until_ms = 0;
        a->alerts.spent_line = INT64_MAX;
        e = db_run(tx->db, tx->ctx, SQL_ALERT_DAYS_DELETE, args, 2, NULL);
    }
    return e;
}

static enum err record(struct db_tx *tx, const id *workspace, const struct alert_settings *settings)
{
    char *balance = talloc_strdup(tx->ctx, ""), *spend = NULL;
    char credits[CREDITS_TEXT_SIZE];
    for (size_t i = 0; i < settings->n; i++) {
        const struct alert *alert = &settings->wanted[i];
        const char *comma = *balance ? ", " : "";
        if (alert->kind == ALERT_CREDITS)
            balance = talloc_asprintf_append(balance, "%s%s", comma, credits_text(alert->value, credits));
        else if (alert->kind == ALERT_PERCENT)
            balance = talloc_asprintf_append(balance, "%s%" PRId64 "%%", comma, alert->value);
        else
            spend = talloc_asprintf(tx->ctx, "%" PRId64 "%%, at least %s", alert->value,
                                    credits_text(alert->at_least, credits));
    }
    const struct deed_detail detail[] = {{"balance", *balance ? balance : NULL}, {"spend", spend}, {0}};
    return deed_record(tx, deed_name, workspace, workspace->text, detail);
}

static enum err store_work(struct db_tx *tx, void *arg)
{
    struct storing *s = arg;
    struct account *a;
    size_t n;
    bool committed = false;
    enum err e = account_lock(tx, tx->ctx, s->workspace, 1, &a, &n);
    if (e != OK || n == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    if (tx->settling)
        e = deed_find_committed(tx, deed_name, s->workspace, s->workspace->text, &committed);
    if (e != OK || committed)
        return e;
    e = account_open_grants(tx, a, 1);
    if (e == OK)
        e = replace(tx, a, s->settings);
    if (e == OK)
        e = record(tx, s->workspace, s->settings);
    return e == OK ? account_write(tx, a, 1) : e;
}

enum err alert_settings_store(struct db *db, const id *workspace, const struct alert_settings *settings)
{
    struct storing s = {workspace, settings};
    return db_transaction(db, store_work, &s);
}
