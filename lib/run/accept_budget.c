/* The budgets of a batch: what its entries count with, and what their workspaces are told. */
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "outbox/outbox.h"
#include "run/accept_private.h"
#include "json/json.h"

static bool has_budgets(const struct accept_entry *entry)
{
    return entry_is_undecided(entry) && (entry->account->budgets & ACCOUNT_HAS_BUDGETS);
}

static bool wants_tags(const struct accept_entry *entry)
{
    return has_budgets(entry) && (entry->account->budgets & ACCOUNT_HAS_TAG_BUDGETS);
}

static enum err take_own_tags(void *ctx, const struct run_request *req, struct budget_subject *s)
{
    json_object *tags;
    const char *why;
    if (!req->tags.at)
        return OK;
    if (json_parse_tolerant(ctx, req->tags.at, req->tags.size, 2, &tags, &why) != OK)
        return ERR_INTERNAL; /* the caller has validated them */
    size_t n = json_object_array_length(tags);
    struct span *list = talloc_array(ctx, struct span, n + 1);
    for (size_t i = 0; i < n; i++) {
        json_object *tag = json_object_array_get_idx(tags, i);
        list[i] = (struct span){json_object_get_string(tag), (size_t)json_object_get_string_len(tag)};
    }
    s->tags = list;
    s->tags_n = n;
    return OK;
}

/* A child has the tags of the root of its tree. The root has not ended, so its rows are there. */
static enum err take_tags_of_roots(struct db_tx *tx, const struct accept_batch *b,
                                   struct budget_subject *subjects)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    id roots[ACCEPT_BATCH_MAX];
    struct db_rows *rows;
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (wants_tags(&b->entries[i]) && !run_request_is_root(b->entries[i].req))
            roots[n++] = b->entries[i].req->parent.root_id;
    }
    n = id_sort_distinct(roots, n);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&roots[i]);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_TAGS_OF, NULL, 0, values, 1, n, &rows);
    for (size_t i = 0; e == OK && n > 0 && i < b->n; i++) {
        if (!wants_tags(&b->entries[i]) || run_request_is_root(b->entries[i].req))
            continue;
        struct span *list = talloc_array(tx->ctx, struct span, rows->count + 1);
        for (size_t r = 0; r < rows->count; r++) {
            const struct db_cell *tag = db_cell(rows, r, EXECUTION_TAGS_OF_TAG);
            if (strcmp(db_str(rows, r, EXECUTION_TAGS_OF_EXECUTION_ID),
                       b->entries[i].req->parent.root_id.text) == 0)
                list[subjects[i].tags_n++] = (struct span){tag->text, tag->size};
        }
        subjects[i].tags = list;
    }
    return e;
}

enum err accept_read_budgets(struct db_tx *tx, struct accept_batch *b)
{
    struct budget_subject *subjects = NULL;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->n; i++) {
        const struct accept_entry *entry = &b->entries[i];
        if (!has_budgets(entry))
            continue;
        if (!subjects)
            subjects = talloc_zero_array(tx->ctx, struct budget_subject, b->n);
        /* the key and the principal of a child are those of its root */
        subjects[i] = (struct budget_subject){.account = entry->account,
                                              .key_id = entry->req->key_id,
                                              .principal_id = entry->req->principal_id,
                                              .responder_id = entry->req->responder_id};
        if (wants_tags(entry) && run_request_is_root(entry->req))
            e = take_own_tags(tx->ctx, entry->req, &subjects[i]);
    }
    if (e != OK || !subjects)
        return e;
    e = take_tags_of_roots(tx, b, subjects);
    return e == OK ? budget_set_read(tx, tx->ctx, subjects, b->n, &b->budgets) : e;
}

static const char *crossing_data(void *ctx, const struct budget_row *budget)
{
    json_object *o = json_own(ctx, json_object_new_object());
    char reset[CLOCK_TEXT_SIZE];
    json_object_object_add(o, "budget_id", json_object_new_string(budget->id.text));
    json_object_object_add(o, "scope", json_object_new_string(budget_scope_name(budget->scope)));
    json_object_object_add(o, "target",
                           budget->target.size > 0
                               ? json_object_new_string_len(budget->target.at, (int)budget->target.size)
                               : NULL);
    json_object_object_add(o, "period", json_object_new_string(period_name(budget->period)));
    json_object_object_add(o, "limit", credits_json(budget->limit));
    json_object_object_add(o, "used", credits_json(budget->used));
    json_object_object_add(o, "reset_at",
                           budget->current.end_ms == PERIOD_NEVER
                               ? NULL
                               : json_object_new_string(clock_text_offset(budget->current.end_ms, reset)));
    return json_text(o, NULL);
}

enum err accept_write_budgets(struct db_tx *tx, struct accept_batch *b)
{
    size_t n;
    const struct budget_crossing *crossings = budget_set_crossings(b->budgets, &n);
    enum err e = budget_set_write(tx, b->budgets);
    for (size_t i = 0; e == OK && i < n; i++)
        e = webhook_put_workspace_event(tx, &crossings[i].budget->workspace_id,
                                        crossings[i].level == BUDGET_TOLD_SOFT ? WEBHOOK_BUDGET_SOFT
                                                                               : WEBHOOK_BUDGET_EXCEEDED,
                                        crossing_data(tx->ctx, crossings[i].budget));
    return e;
}
