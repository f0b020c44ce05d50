/* GET /prices; POST /workflows/{id}/estimate */
#include "run/price.h"
#include "base/clock.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/handlers/dated_prices.h"
#include "fcgi/handlers/estimate.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/workflow_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/model.h"
#include "store/price.h"
#include "json/json_write.h"

enum { LIMIT_MAX = 100, MS_PER_S = 1000 };

enum err dated_prices_read(struct request *r, struct dated_prices *dated_r)
{
    const id *workspace = &r->access.workspace_id;
    *dated_r = (struct dated_prices){0};
    enum err e = price_lists_shown(r->app->db, r, workspace, false, &dated_r->list, &dated_r->n);
    if (e == OK && dated_r->n > 0)
        e = model_resolve(r->app->db, r, workspace, NULL, &dated_r->default_model);
    return e == ERR_NOT_FOUND ? OK : e;
}

const struct price_list *dated_prices_choose(const struct dated_prices *dated, const id *responder,
                                             bool agentic)
{
    return price_lists_choose(dated->list, dated->n, responder, agentic ? dated->default_model : NULL);
}

static void write_price(struct json_write *w, const struct price *p, const struct price_list *list)
{
    const struct run_request req = {.price = p->own, .credits_asked = p->asked};
    bool listed = list && list->fixed >= 0 && list->fixed >= p->asked;
    json_write_open(w, '{');
    json_write_id(w, "responder_id", &p->responder_id);
    json_write_text(w, "kind", p->kind == KIND_SKILL ? "skill" : "workflow");
    json_write_credits(w, "credits", run_listed_price(&req, p->usual, list));
    json_write_credits(w, "held", list ? price_held(list->units) : 0);
    json_write_text(w, "source",
                    listed                     ? "price_list"
                    : list && list->fixed >= 0 ? price_source_name(PRICE_PROGRAM)
                                               : price_source_name(p->source));
    json_write_text(w, "price_list_id", list ? list->id.text : NULL);
    json_write_close(w, '}');
}

static void write_list(struct json_write *w, const struct shown_price_list *shown)
{
    const struct price_list *l = &shown->list;
    json_write_open(w, '{');
    json_write_id(w, "id", &l->id);
    json_write_text(w, "responder_id", id_is_set(&l->responder_id) ? l->responder_id.text : NULL);
    json_write_text(w, "model", l->model);
    json_write_time(w, "effective_from", l->effective_ms, false);
    json_write_flag(w, "in_force", shown->in_force);
    json_write_flag(w, "ended", l->ended);
    if (l->fixed >= 0)
        json_write_credits(w, "credits", l->fixed);
    else
        json_write_text(w, "credits", NULL);
    json_write_credits(w, "held", price_held(l->units));
    json_write_key(w, "use");
    json_write_open(w, '{');
    for (int u = 0; u < PRICE_UNITS; u++) {
        if (l->units[u].max == 0)
            continue;
        json_write_key(w, price_unit_name((enum price_unit)u));
        json_write_open(w, '{');
        json_write_credits(w, "credits", l->units[u].price);
        json_write_int(w, "max", u == PRICE_TIME ? l->units[u].max / MS_PER_S : l->units[u].max);
        json_write_close(w, '}');
    }
    json_write_close(w, '}');
    json_write_close(w, '}');
}

/* Begins a second list of the page. */
static void write_lists(struct json_write *w, const struct dated_prices *dated, bool first)
{
    json_write_close(w, ']');
    json_write_key(w, "price_lists");
    json_write_open(w, '[');
    for (size_t i = 0; first && i < dated->n; i++)
        write_list(w, &dated->list[i]);
}

int h_price_list(struct request *r)
{
    id after;
    int64_t limit;
    struct price *list;
    struct dated_prices dated;
    size_t n;
    if (!request_query_cursor(r, "after", "a workflow or skill", &after) ||
        !request_query_int(r, "limit", 1, LIMIT_MAX, LIMIT_MAX, &limit))
        return reply_rejected(r);
    enum err e = price_list(r->app->db, r, &r->access.workspace_id, &after, limit + 1, &list, &n);
    if (e == OK)
        e = dated_prices_read(r, &dated);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "prices", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_price(page.w, &list[i], dated_prices_choose(&dated, &list[i].responder_id, list[i].agentic));
    write_lists(page.w, &dated, !id_is_set(&after));
    return page_reply(r, &page, page.has_more ? list[page.count - 1].responder_id.text : NULL);
}

/* The list that would price the run if it were accepted now; NULL: none. */
static enum err find_list(struct request *r, const struct run_request *req, const struct price_list **list_r)
{
    struct price_subject subject = {.workspace_id = r->access.workspace_id,
                                    .responder_id = req->responder_id};
    enum err e = run_model_of(r, req, &subject.model);
    return e == OK ? price_lists_in_force(r->app->db, r, &subject, 1, list_r) : e;
}

int reply_estimate(struct request *r, struct run_request *req, target_validator *validate_target)
{
    const struct price_list *list;
    int64_t usual, balance;
    if (!run_form_check_times(r, req) || !validate_target(r, req, true))
        return reply_rejected(r);
    enum err e = price_of_workspace(r->app->db, &r->access.workspace_id, &usual, &balance);
    if (e == OK)
        e = find_list(r, req, &list);
    if (e != OK)
        return reply_err(r, e);
    int64_t price = run_listed_price(req, usual, list);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_credits(w, "credits", price);
    json_write_credits(w, "held", list ? price_held(list->units) : 0);
    json_write_text(w, "price_list_id", list ? list->id.text : NULL);
    json_write_credits(w, "balance", balance);
    json_write_flag(w, "covered", price <= balance);
    json_write_close(w, '}');
    return reply_written(r, 200, w);
}

int h_workflow_estimate(struct request *r)
{
    struct run_request req = {.kind = KIND_WORKFLOW};
    if (!request_path_id(r, 0, &req.responder_id) || !start_run_prepare(r, &req) || !run_form_read(r, &req))
        return reply_rejected(r);
    return reply_estimate(r, &req, workflow_validate_target);
}
