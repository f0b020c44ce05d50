#include "store/price.h"

#include <talloc.h>

#include "run/price.h"

static const char *const source_names[] = {"default", "workspace", "responder", "program"};

const char *price_source_name(enum price_source source)
{
    return source_names[source];
}

static struct price take_row(const struct db_rows *rows, size_t r)
{
    const struct run_request req = {.price = db_int_or(rows, r, PRICE_LIST_PRICE, -1),
                                    .credits_asked = db_int_or(rows, r, PRICE_LIST_CREDITS, -1)};
    const struct run_request unasked = {.price = req.price, .credits_asked = -1};
    int64_t usual = db_int_or(rows, r, PRICE_LIST_WORKSPACE_PRICE, -1);
    struct price p = {.responder_id = db_get_id(rows, r, PRICE_LIST_ID),
                      .kind = (enum responder_kind)db_int(rows, r, PRICE_LIST_KIND),
                      .micro = run_price(&req, usual),
                      .own = req.price,
                      .usual = usual,
                      .asked = req.credits_asked,
                      .agentic = db_int(rows, r, PRICE_LIST_AGENTIC) != 0};
    if (p.micro > run_price(&unasked, usual))
        p.source = PRICE_PROGRAM;
    else if (req.price >= 0)
        p.source = PRICE_RESPONDER;
    else
        p.source = usual >= 0 ? PRICE_WORKSPACE : PRICE_DEFAULT;
    return p;
}

enum err price_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                    struct price **list_r, size_t *n_r)
{
    id first = id_is_set(after) ? *after : id_floor(0);
    struct db_value own = db_id(workspace), from = db_id(&first), most = db_number(limit);
    struct db_value args[] = {own, from, most, own, from, most, own, most};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_PRICE_LIST, args, sizeof args / sizeof args[0], &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *list_r = talloc_array(ctx, struct price, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        (*list_r)[r] = take_row(rows, r);
    return OK;
}

enum err price_of_workspace(struct db *db, const id *workspace, int64_t *price_r, int64_t *balance_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value one = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run_each(db, scratch, SQL_ACCOUNT_READ, NULL, 0, &one, 1, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK) {
        *price_r = db_int_or(rows, 0, ACCOUNT_READ_PRICE, -1);
        *balance_r = db_int(rows, 0, ACCOUNT_READ_BALANCE);
    }
    talloc_free(scratch);
    return e;
}
