/* GET /prices; POST /workflows/{id}/estimate */
#include "run/price.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/handlers/estimate.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/workflow_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/price.h"
#include "json/json_write.h"

enum { LIMIT_MAX = 100 };

static void write_price(struct json_write *w, const struct price *p)
{
    json_write_open(w, '{');
    json_write_id(w, "responder_id", &p->responder_id);
    json_write_text(w, "kind", p->kind == KIND_SKILL ? "skill" : "workflow");
    json_write_credits(w, "credits", p->micro);
    json_write_text(w, "source", price_source_name(p->source));
    json_write_close(w, '}');
}

int h_price_list(struct request *r)
{
    id after;
    int64_t limit;
    struct price *list;
    size_t n;
    if (!request_query_cursor(r, "after", "a workflow or skill", &after) ||
        !request_query_int(r, "limit", 1, LIMIT_MAX, LIMIT_MAX, &limit))
        return reply_rejected(r);
    enum err e = price_list(r->app->db, r, &r->access.workspace_id, &after, limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "prices", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_price(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].responder_id.text : NULL);
}

int reply_estimate(struct request *r, struct run_request *req, target_validator *validate_target)
{
    int64_t usual, balance;
    if (!run_form_check_times(r, req) || !validate_target(r, req, true))
        return reply_rejected(r);
    enum err e = price_of_workspace(r->app->db, &r->access.workspace_id, &usual, &balance);
    if (e != OK)
        return reply_err(r, e);
    int64_t price = run_price(req, usual);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_credits(w, "credits", price);
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
