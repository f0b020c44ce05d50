/* Fuzzes the cursors and filters of the routes that list. Input: a path below /api/v1 with its query. This
 * file replaces the functions of the store that these routes call: they check that each filter is within its
 * bounds and each text is UTF-8, and return a full page. The cursor of that page must be accepted as the
 * cursor of the next request. Needs no database. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "billing/roll_up.h"
#include "fcgi/cache/name_cache.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "fcgi/server/routes.h"
#include "store/error_group.h"
#include "store/execution_list.h"
#include "store/responder.h"
#include "store/usage.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGE_MAX = 100, REACH_MAX = 1000000, YEAR_DAYS = 366 };
static const int64_t day_ms = 86400000;
static const char row_id[] = "019bc1a0-7b50-7000-8000-000000000001";

static void need(bool held)
{
    if (!held)
        abort();
}

static void need_id(const id *i)
{
    id again;
    need(!id_is_set(i) || (strlen(i->text) == ID_LENGTH && id_parse(i->text, ID_LENGTH, &again)));
}

static id some_id(void)
{
    id i;
    need(id_parse(row_id, ID_LENGTH, &i));
    return i;
}

/* --- replacements for the functions of the store --- */

enum err execution_list(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                        struct execution **list_r, size_t *count_r)
{
    need(f->responders_n <= EXECUTION_RESPONDERS_MAX && f->states_n <= 2);
    for (size_t i = 0; i < f->responders_n; i++)
        need_id(&f->responders[i]);
    for (size_t i = 0; i < f->states_n; i++)
        need(f->states[i] >= STATE_QUEUED && f->states[i] <= STATE_STOPPED);
    need(!f->tag || (utf8_is_valid(f->tag, strlen(f->tag)) && strlen(f->tag) <= EXECUTION_TAG_MAX));
    need(!f->error ||
         (utf8_is_valid(f->error, strlen(f->error)) && *f->error && strlen(f->error) <= EXECUTION_ERROR_MAX));
    need((!f->error && !f->has_error_hash) || f->states_n == 0);
    need_id(&f->parent);
    need_id(&f->above);
    need_id(&f->below);
    need(f->limit >= 2 && f->limit <= PAGE_MAX + 1 && f->offset >= 0 &&
         f->offset + f->limit <= REACH_MAX + 1);
    *count_r = (size_t)f->limit;
    *list_r = talloc_zero_array(ctx, struct execution, *count_r);
    for (size_t i = 0; i < *count_r; i++) {
        (*list_r)[i].id = some_id();
        (*list_r)[i].responder_id = some_id();
        (*list_r)[i].state = STATE_QUEUED;
        (*list_r)[i].kind = KIND_WORKFLOW;
    }
    return OK;
}

enum err error_groups_read(struct db *db, void *ctx, const id *workspace, int64_t limit,
                           struct error_group **list_r, size_t *count_r, int64_t *considered_r)
{
    need(limit >= 2 && limit <= PAGE_MAX + 1);
    *list_r = NULL;
    *count_r = 0;
    *considered_r = 0;
    return OK;
}

/* Bulk jobs and their previews; no list of executions calls it. */
enum err execution_list_ids(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                            id **ids_r, size_t *count_r)
{
    need(false);
    return ERR_INTERNAL;
}

enum err execution_list_window(struct db *db, void *ctx, const id *workspace,
                               const struct execution_filter *f, struct execution_window *window_r)
{
    need(false);
    return ERR_INTERNAL;
}

enum err responder_names(struct db *db, void *ctx, enum responder_kind kind, const id *ids, size_t n,
                         struct responder_name **list_r, size_t *count_r)
{
    need(n <= PAGE_MAX + 1);
    *count_r = kind == KIND_WORKFLOW ? n : 0;
    *list_r = talloc_array(ctx, struct responder_name, n + 1);
    for (size_t i = 0; i < *count_r; i++)
        (*list_r)[i] = (struct responder_name){ids[i], "name"};
    return OK;
}

enum err ledger_page(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                     struct ledger_row **list_r, size_t *count_r)
{
    need_id(after);
    need(limit >= 2 && limit <= PAGE_MAX + 1);
    *count_r = (size_t)limit;
    *list_r = talloc_zero_array(ctx, struct ledger_row, *count_r);
    for (size_t i = 0; i < *count_r; i++)
        (*list_r)[i].entry.id = some_id();
    return OK;
}

enum err usage_read(struct db *db, void *ctx, const id *workspace, int64_t from_ms, int64_t to_ms,
                    enum usage_group group, struct usage_row **list_r, size_t *count_r)
{
    need(from_ms >= 0 && from_ms < to_ms && to_ms - from_ms <= YEAR_DAYS * day_ms);
    need(group >= USAGE_BY_DAY && group <= USAGE_BY_KEY);
    *count_r = 1;
    *list_r = talloc_zero_array(ctx, struct usage_row, 1);
    (*list_r)->day_ms = from_ms;
    return OK;
}

enum err rolled_up_before(struct db *db, const id *workspace, id *before_r)
{
    *before_r = some_id();
    return OK;
}

const char *ledger_kind_name(enum ledger_kind kind)
{
    return "debit";
}

/* --- the target --- */

/* Checks that the cursor of a page is accepted as the cursor of the next request. */
static void check_cursor(struct request *r)
{
    const char *why;
    json_object *page;
    id cursor;
    need(json_parse(r, r->reply.body, r->reply.size, JSON_DEPTH_MAX, &page, &why) == OK);
    const char *text = json_get_text(page, "next_cursor");
    need(!text || id_parse(text, strlen(text), &cursor));
}

static void try_list(struct request *r)
{
    route_handler *h = r->route->handler;
    if (h != h_execution_list && h != h_execution_errors && h != h_credits_ledger && h != h_credits_usage)
        return;
    int status = h(r);
    need(status == 200 || status == 400);
    if (status == 200 && h != h_credits_usage)
        check_cursor(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char method[] = "REQUEST_METHOD=GET";
    static struct app app;
    void *ctx = talloc_new(NULL);
    app.names = name_cache_new(ctx);
    char *text = talloc_strndup(ctx, (const char *)data, size);
    char *params[] = {method, talloc_asprintf(ctx, "REQUEST_URI=/api/v1/%s", text), NULL};
    bool ok;
    struct request *r = request_new(ctx, &app, params, &ok);
    if (ok && (r->route = route_find(r)))
        try_list(r);
    talloc_free(ctx);
    return 0;
}
