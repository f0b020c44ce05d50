#include <talloc.h>

#include "billing/statement.h"
#include "push/batch.h"
#include "store/usage.h"
#include "json/json_write.h"

/* Rows of SQL_PUSH_ROWS from `i` on that are parts of one row of the ledger. */
static size_t parts_of(const struct db_rows *rows, size_t n, size_t i)
{
    id first = db_get_id(rows, i, PUSH_ROWS_ID), workspace = db_get_id(rows, i, PUSH_ROWS_WORKSPACE_ID);
    size_t end = i + 1;
    for (; end < n; end++) {
        id other = db_get_id(rows, end, PUSH_ROWS_ID);
        id of = db_get_id(rows, end, PUSH_ROWS_WORKSPACE_ID);
        if (!id_equal(&other, &first) || !id_equal(&of, &workspace))
            break;
    }
    return end - i;
}

static void write_id(struct json_write *w, const char *key, const struct db_rows *rows, size_t i,
                     size_t column)
{
    id value = db_get_id(rows, i, column);
    json_write_id(w, key, &value);
}

static void write_grants(struct json_write *w, const struct db_rows *rows, size_t i, size_t n)
{
    json_write_key(w, "grants");
    json_write_open(w, '[');
    for (size_t p = i; p < i + n; p++) {
        bool is_part = !db_cell(rows, p, PUSH_ROWS_PART_GRANT_ID)->is_null;
        id grant = db_get_id(rows, p, is_part ? PUSH_ROWS_PART_GRANT_ID : PUSH_ROWS_GRANT_ID);
        if (!id_is_set(&grant))
            continue;
        json_write_open(w, '{');
        json_write_id(w, "grant_id", &grant);
        json_write_credits(w, "credits", db_int(rows, p, is_part ? PUSH_ROWS_PART : PUSH_ROWS_AMOUNT));
        json_write_close(w, '}');
    }
    json_write_close(w, ']');
}

static void write_data(struct json_write *w, const struct db_rows *rows, size_t i, size_t n)
{
    int kind = (int)db_int(rows, i, PUSH_ROWS_KIND);
    int64_t amount = db_int(rows, i, PUSH_ROWS_AMOUNT);
    json_write_key(w, "data");
    json_write_open(w, '{');
    json_write_text(w, "kind", ledger_kind_name((enum ledger_kind)kind));
    json_write_credits(w, "credits", amount);
    if (billing_kind(kind)->is_usage)
        json_write_credits(w, "used", -amount);
    write_id(w, "workspace_id", rows, i, PUSH_ROWS_WORKSPACE_ID);
    json_write_text(w, "workspace", db_str(rows, i, PUSH_ROWS_WORKSPACE));
    write_id(w, "execution_id", rows, i, PUSH_ROWS_EXECUTION_ID);
    write_id(w, "responder_id", rows, i, PUSH_ROWS_RESPONDER_ID);
    json_write_text(w, "responder", db_str(rows, i, PUSH_ROWS_RESPONDER));
    write_id(w, "key_id", rows, i, PUSH_ROWS_KEY_ID);
    json_write_text(w, "key_prefix", db_str(rows, i, PUSH_ROWS_KEY_PREFIX));
    json_write_text(w, "reason", db_str(rows, i, PUSH_ROWS_REASON));
    json_write_text(w, "reference", db_str(rows, i, PUSH_ROWS_REFERENCE));
    write_grants(w, rows, i, n);
    json_write_close(w, '}');
}

/* OpenMeter sums the events of one type: what is used is one type, whether it is a debit or a refund. */
static void write_event(struct json_write *w, const struct db_rows *rows, size_t i, size_t n)
{
    int kind = (int)db_int(rows, i, PUSH_ROWS_KIND);
    id row = db_get_id(rows, i, PUSH_ROWS_ID);
    json_write_open(w, '{');
    json_write_text(w, "specversion", "1.0");
    json_write_text(w, "type", billing_kind(kind)->is_usage ? "millrace.usage" : "millrace.balance");
    json_write_text(w, "source", "/millrace/ledger");
    json_write_id(w, "id", &row);
    json_write_time(w, "time", id_ms(&row), true);
    write_id(w, "subject", rows, i, PUSH_ROWS_WORKSPACE_ID);
    json_write_text(w, "datacontenttype", "application/json");
    write_data(w, rows, i, n);
    json_write_close(w, '}');
}

enum push_use push_use_of(int64_t kind, uint32_t kinds)
{
    enum { BITS = 32 };
    bool is_known = kind > 0 && kind < BILLING_KINDS && billing_kind((int)kind)->member;
    bool is_wanted =
        kinds == PUSH_KINDS_ALL || (kind >= 0 && kind < BITS && (kinds & (UINT32_C(1) << kind)) != 0);
    return !is_wanted ? PUSH_SKIP : is_known ? PUSH_SEND : PUSH_LEAVE;
}

size_t push_rows_before_left(const struct db_rows *rows, size_t n, uint32_t kinds)
{
    size_t before = 0;
    while (before < n && push_use_of(db_int(rows, before, PUSH_ROWS_KIND), kinds) != PUSH_LEAVE)
        before++;
    if (before == n)
        return n;
    int64_t number = db_int(rows, before, PUSH_ROWS_NUMBER);
    while (before > 0 && db_int(rows, before - 1, PUSH_ROWS_NUMBER) == number)
        before--;
    return before;
}

const char *push_events(void *ctx, const struct db_rows *rows, size_t n, uint32_t kinds, size_t *events_n_r,
                        size_t *size_r)
{
    struct json_write *w = json_write_new(ctx);
    *events_n_r = 0;
    json_write_open(w, '[');
    for (size_t i = 0, parts; i < n; i += parts) {
        parts = parts_of(rows, n, i);
        if (push_use_of(db_int(rows, i, PUSH_ROWS_KIND), kinds) != PUSH_SEND)
            continue;
        write_event(w, rows, i, parts);
        ++*events_n_r;
    }
    json_write_close(w, ']');
    return json_write_result(w, size_r);
}
