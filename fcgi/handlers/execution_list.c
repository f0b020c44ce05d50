/* GET /executions, paged by cursor or by page number */
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/cache/name_cache.h"
#include "fcgi/forms/form.h"
#include "fcgi/forms/page.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
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

static bool is_responder_filter(const char *name)
{
    return strcmp(name, "responderIds") == 0 || strcmp(name, "responderIds[]") == 0;
}

static bool read_responders(struct request *r, struct list_page *p)
{
    id *ids = talloc_zero_array(r, id, EXECUTION_RESPONDERS_MAX + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->query_n; i++) {
        const char *value = r->query[i].value;
        if (!is_responder_filter(r->query[i].name))
            continue;
        if (n == EXECUTION_RESPONDERS_MAX || !id_parse(value, strlen(value), &ids[n]))
            return form_reject_value(r, "responderIds", "at most 64 UUIDs");
        bool seen = false;
        for (size_t k = 0; k < n && !seen; k++)
            seen = id_equal(&ids[k], &ids[n]);
        n += !seen;
    }
    id workflow;
    if (!request_query_id(r, "workflow_id", &workflow))
        return false;
    if (id_is_set(&workflow)) {
        bool listed = n == 0;
        for (size_t i = 0; i < n; i++)
            listed = listed || id_equal(&ids[i], &workflow);
        p->is_empty = p->is_empty || !listed;
        ids[0] = workflow;
        n = 1;
    }
    p->filter.responders = ids;
    p->filter.responders_n = n;
    return true;
}

static bool read_states(struct request *r, struct list_page *p)
{
    const char *status = request_query(r, "status");
    const char *state = request_query(r, "state");
    struct execution_filter *f = &p->filter;
    enum run_state one;
    if (status && (f->states_n = (size_t)states_from_status(status, f->states)) == 0)
        return form_reject_value(r, "status", "running, success, failed or stopped");
    if (!state)
        return true;
    if (state_from_name(state, &one) == 0)
        return form_reject_value(r, "state", "queued, running, succeeded, failed or stopped");
    p->is_empty = p->is_empty || (status && f->states[0] != one && (f->states_n < 2 || f->states[1] != one));
    f->states[0] = one;
    f->states_n = 1;
    return true;
}

/* created_after and created_before. An id contains its creation time in milliseconds, so that a range of time
 * is a range of ids. */
static bool read_times(struct request *r, struct list_page *p)
{
    const char *after = request_query(r, "created_after");
    const char *before = request_query(r, "created_before");
    int64_t after_ms = after ? clock_parse(after) : 0;
    int64_t before_ms = before ? clock_parse(before) : 0;
    if (after_ms < 0)
        return form_reject_value(r, "created_after", "a date or date-time (RFC 3339)");
    if (before_ms < 0)
        return form_reject_value(r, "created_before", "a date or date-time (RFC 3339)");
    if (after)
        p->filter.above = id_floor(after_ms + 1);
    if (before)
        p->filter.below = id_floor(before_ms);
    return true;
}

static bool read_tag(struct request *r, struct list_page *p)
{
    p->filter.tag = request_query(r, "tag");
    if (p->filter.tag && (!*p->filter.tag || strlen(p->filter.tag) > EXECUTION_TAG_MAX))
        return form_reject_value(r, "tag", "a string of 1 to 256 octets");
    if (!request_query_id(r, "parentId", &p->filter.parent) ||
        !request_query_id(r, "batch_id", &p->filter.batch))
        return false;
    /* the runs of a batch have no parent */
    p->is_empty = p->is_empty || (id_is_set(&p->filter.batch) && id_is_set(&p->filter.parent));
    return true;
}

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
        only_responders = only_responders && is_responder_filter(r->query[i].name);
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
    if (!read_responders(r, &p) || !read_states(r, &p) || !read_times(r, &p) || !read_tag(r, &p) ||
        !read_paging(r, &p))
        return reply_rejected(r);
    p.filter.limit = p.size + 1; /* the additional row shows whether there is another page */
    enum err e =
        p.is_empty ? OK : execution_list(r->app->db, r, &r->access.workspace_id, &p.filter, &list, &n);
    if (e == OK)
        e = fill_list_names(r, list, n);
    return e == OK ? reply_page(r, &p, list, n) : reply_err(r, e);
}
