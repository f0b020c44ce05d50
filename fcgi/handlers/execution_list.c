/* GET /executions, paged by cursor or by page number */
#include <string.h>
#include <talloc.h>

#include "fcgi/cache/name_cache.h"
#include "fcgi/forms/execution_filter.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/page.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "store/execution_list.h"
#include "view/execution.h"
#include "json/json_write.h"

enum {
    LIMIT_MAX = 100,
    LIMIT_DEFAULT = 20,
    SIZE_DEFAULT = 10,
    PAGE_MAX = 1000000,
    /* MariaDB reads all rows before a page that is given by number; a cursor does not have this cost. */
    OFFSET_MAX = 1000000,
};

struct list_page {
    struct execution_filter filter;
    bool by_number;
    /* The filters contradict each other, so that nothing can match. */
    bool is_empty;
    int64_t number, size;
};

static bool read_cursor(struct request *r, struct list_page *p)
{
    id cursor;
    if (!request_query_cursor(r, "after", "an execution", &cursor))
        return false;
    struct execution_filter *f = &p->filter;
    if (id_is_set(&cursor) && (!id_is_set(&f->below) || id_compare(&cursor, &f->below) < 0))
        f->below = cursor;
    return request_query_int(r, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &p->size);
}

static bool read_page_number(struct request *r, struct list_page *p)
{
    if (!request_query_int(r, "pageNumber", 1, PAGE_MAX, 1, &p->number) ||
        !request_query_int(r, "pageSize", 1, LIMIT_MAX, SIZE_DEFAULT, &p->size))
        return false;
    p->filter.offset = (p->number - 1) * p->size;
    if (p->filter.offset + p->size > OFFSET_MAX)
        return form_reject_value(r, "pageNumber",
                                 "within the newest 1000000 executions; use limit and after beyond");
    return true;
}

/* Pages are numbered if the query has a page number or size, or no parameter other than responderIds: the
 * published page that defines this query knows no cursors. */
static bool read_paging(struct request *r, struct list_page *p)
{
    bool number = request_query(r, "pageNumber") || request_query(r, "pageSize");
    bool cursor = request_query(r, "limit") || request_query(r, "after");
    bool only_responders = r->query_n > 0;
    for (size_t i = 0; i < r->query_n; i++)
        only_responders = only_responders && execution_filter_is_responder(r->query[i].name);
    if (number && cursor) {
        reply_problem(r, 400, "invalid_request",
                      "pageNumber and pageSize cannot be combined with limit and after.");
        return false;
    }
    p->by_number = number || only_responders;
    return p->by_number ? read_page_number(r, p) : read_cursor(r, p);
}

static enum err fill_list_names(struct request *r, struct execution *list, size_t n)
{
    struct execution **each = talloc_array(r, struct execution *, n + 1);
    for (size_t i = 0; i < n; i++)
        each[i] = &list[i];
    return name_cache_fill(r, each, n);
}

static int reply_page(struct request *r, const struct list_page *p, const struct execution *list, size_t n)
{
    struct page page = page_begin(r, "executions", n, p->size);
    for (size_t i = 0; i < page.count; i++)
        view_execution(page.w, &list[i], NULL);
    if (p->by_number)
        return page_reply_numbered(r, &page, p->number, p->size);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].id.text : NULL);
}

int h_execution_list(struct request *r)
{
    struct list_page p = {0};
    struct execution *list = NULL;
    size_t n = 0;
    if (!execution_filter_read(r, &p.filter, &p.is_empty) || !read_paging(r, &p))
        return reply_rejected(r);
    if (p.filter.error && !slow_begin(r)) /* up to 10,000 rows are read */
        return reply_rejected(r);
    p.filter.limit = p.size + 1; /* the additional row shows whether there is another page */
    enum err e =
        p.is_empty ? OK : execution_list(r->app->db, r, &r->access.workspace_id, &p.filter, &list, &n);
    if (e == OK)
        e = fill_list_names(r, list, n);
    return e == OK ? reply_page(r, &p, list, n) : reply_err(r, e);
}
