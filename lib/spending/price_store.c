#include "spending/price_store.h"

#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "account/credits.h"
#include "base/clock.h"
#include "deed/deed.h"

enum err price_lists_shown(struct db *db, void *ctx, const id *workspace, bool all,
                           struct shown_price_list **list_r, size_t *n_r)
{
    struct db_value args[] = {db_id(workspace), db_id(workspace), db_number(all)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_PRICE_LISTS_SHOWN, args, 3, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *list_r = talloc_array(ctx, struct shown_price_list, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++) {
        price_list_take_row(*list_r, rows, r, &(*list_r)[r].list);
        (*list_r)[r].in_force = db_int(rows, r, PRICE_LISTS_SHOWN_IN_FORCE) != 0;
    }
    return OK;
}

/* How specific the list's target is; 0: it does not price such a run. */
static int rank(const struct price_list *l, const id *responder, const char *model)
{
    bool named = id_is_set(&l->responder_id);
    if ((named && !id_equal(&l->responder_id, responder)) ||
        (l->model && (!model || strcmp(l->model, model) != 0)))
        return 0;
    return 1 + 2 * named + (l->model != NULL);
}

const struct price_list *price_lists_choose(const struct shown_price_list *list, size_t n,
                                            const id *responder, const char *model)
{
    const struct price_list *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < n; i++) {
        int r = list[i].in_force && !list[i].list.ended ? rank(&list[i].list, responder, model) : 0;
        if (r > best_rank) {
            best = &list[i].list;
            best_rank = r;
        }
    }
    return best;
}

struct setting {
    struct price_list *list;
    int64_t effective_ms; /* as it was asked for */
    uint8_t hash[PRICE_HASH_SIZE];
};

static enum err was_stored(struct db_tx *tx, const struct price_list *list, bool *found_r)
{
    struct db_value arg = db_id(&list->id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_PRICE_LIST_FIND, &arg, 1, &rows);
    *found_r = e == OK && rows->count > 0;
    return e;
}

static enum err check_responder(struct db_tx *tx, const struct price_list *list)
{
    struct db_value workspace = db_id(&list->workspace_id), responder = db_id(&list->responder_id);
    struct db_value args[] = {workspace, responder, workspace, responder};
    struct db_rows *rows;
    if (!id_is_set(&list->responder_id))
        return OK;
    enum err e = db_run(tx->db, tx->ctx, SQL_BUDGET_FIND_RESPONDER, args, 4, &rows);
    return e == OK && rows->count == 0 ? ERR_INVALID : e;
}

/* At once: now, or a millisecond after a list that came into force just now, which may have priced runs. */
static enum err choose_time(struct db_tx *tx, struct setting *s, int64_t now_ms)
{
    struct db_value args[] = {db_bytes(s->hash, sizeof s->hash), db_number(now_ms)};
    struct db_rows *rows;
    s->list->effective_ms = s->effective_ms;
    if (s->effective_ms > 0)
        return s->effective_ms > now_ms ? OK : ERR_CONFLICT;
    enum err e = db_run(tx->db, tx->ctx, SQL_PRICE_LIST_LAST, args, 2, &rows);
    s->list->effective_ms =
        e == OK && db_int(rows, 0, PRICE_LIST_LAST_EFFECTIVE_MS) >= now_ms ? now_ms + 1 : now_ms;
    return e;
}

static enum err insert_list(struct db_tx *tx, const struct setting *s, int64_t now_ms)
{
    const struct price_list *l = s->list;
    struct db_value hash = db_bytes(s->hash, sizeof s->hash);
    struct db_value v[PRICE_LIST_INSERT_SET_COUNT] = {
        [PRICE_LIST_INSERT_SET_ID] = db_id(&l->id),
        [PRICE_LIST_INSERT_SET_WORKSPACE_ID] = db_id(&l->workspace_id),
        [PRICE_LIST_INSERT_SET_TARGET_HASH] = hash,
        [PRICE_LIST_INSERT_SET_RESPONDER_ID] = db_id(&l->responder_id),
        [PRICE_LIST_INSERT_SET_MODEL] = db_text(l->model),
        [PRICE_LIST_INSERT_SET_EFFECTIVE_MS] = db_number(l->effective_ms),
        [PRICE_LIST_INSERT_SET_ENDED] = db_number(l->ended),
        [PRICE_LIST_INSERT_SET_FIXED] = db_number_or_null(l->fixed, l->fixed >= 0),
        [PRICE_LIST_INSERT_SET_CREATED_MS] = db_number(now_ms),
    };
    price_fill_units(&v[PRICE_LIST_INSERT_SET_INPUT_PRICE], l->units);
    struct db_value replaced[] = {hash, db_number(l->effective_ms), db_number(now_ms)};
    enum err e = db_run(tx->db, tx->ctx, SQL_PRICE_LIST_REPLACE, replaced, 3, NULL);
    return e == OK ? db_run(tx->db, tx->ctx, SQL_PRICE_LIST_INSERT, v, PRICE_LIST_INSERT_SET_COUNT, NULL) : e;
}

static enum err check_count(struct db_tx *tx, const struct price_list *list)
{
    struct shown_price_list *shown;
    size_t n = 0;
    enum err e = price_lists_shown(tx->db, tx->ctx, &list->workspace_id, false, &shown, &n);
    return e == OK && n > PRICE_LISTS_MAX ? ERR_LIMIT : e;
}

static enum err record(struct db_tx *tx, const struct price_list *l)
{
    char credits[CREDITS_TEXT_SIZE], held[CREDITS_TEXT_SIZE], from[CLOCK_TEXT_SIZE];
    const struct deed_detail detail[] = {
        {"responder_id", id_is_set(&l->responder_id) ? l->responder_id.text : NULL},
        {"model", l->model},
        {"from", clock_text_offset(l->effective_ms, from)},
        {"credits", l->fixed >= 0 ? credits_text(l->fixed, credits) : NULL},
        {"held", credits_text(price_held(l->units), held)},
        {"ended", l->ended ? "true" : "false"},
        {0}};
    return deed_record(tx, "price.set", &l->workspace_id, l->id.text, detail);
}

static enum err set_work(struct db_tx *tx, void *arg)
{
    struct setting *s = arg;
    struct db_value workspaces[] = {db_id(&s->list->workspace_id), db_id(&s->list->workspace_id)};
    struct account *a;
    size_t n;
    bool found = false;
    enum err e = account_lock(tx, tx->ctx, &s->list->workspace_id, 1, &a, &n);
    if (e != OK || n == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    if (tx->settling)
        e = was_stored(tx, s->list, &found);
    if (e != OK || found)
        return e;
    s->list->created_ms = a->now_ms;
    e = choose_time(tx, s, a->now_ms);
    if (e == OK)
        e = check_responder(tx, s->list);
    if (e == OK)
        e = insert_list(tx, s, a->now_ms);
    if (e == OK)
        e = check_count(tx, s->list);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_PRICE_FLAGS, workspaces, 2, NULL);
    return e == OK ? record(tx, s->list) : e;
}

enum err price_list_set(struct db *db, struct price_list *list)
{
    struct setting s = {.list = list, .effective_ms = list->effective_ms};
    price_list_hash(list, s.hash);
    return db_transaction(db, set_work, &s);
}
