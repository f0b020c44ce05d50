/* GET /executions/errors: the newest failed executions, grouped by their errors */
#include <inttypes.h>
#include <stdio.h>
#include <talloc.h>

#include "fcgi/cache/name_cache.h"
#include "fcgi/forms/page.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "store/error_group.h"
#include "json/json_write.h"

enum { LIMIT_MAX = 100, LIMIT_DEFAULT = 50, HASH_SIZE = 17 };

struct error_list {
    struct error_group *groups;
    size_t n;
    int64_t considered;
    /* The newest execution of each group, as far as it exists; newest first. */
    struct execution *newest;
    size_t newest_n;
};

static enum err fill_names(struct request *r, struct error_list *list)
{
    struct execution **each = talloc_array(r, struct execution *, ERROR_GROUP_RESPONDERS_MAX * list->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        for (size_t k = 0; k < list->groups[i].listed_n; k++)
            each[n++] = &list->groups[i].responders[k];
    }
    return name_cache_fill(r, each, n);
}

static enum err read_errors(struct request *r, int64_t limit, struct error_list *list)
{
    const id *workspace = &r->access.workspace_id;
    enum err e =
        error_groups_read(r->app->db, r, workspace, limit, &list->groups, &list->n, &list->considered);
    if (e != OK)
        return e;
    id *ids = talloc_array(r, id, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        ids[i] = list->groups[i].newest;
    e = execution_get_all(r->app->db, r, workspace, ids, list->n, &list->newest, &list->newest_n);
    return e == OK ? fill_names(r, list) : e;
}

static void write_responders(struct json_write *w, const struct error_group *g)
{
    json_write_int(w, "responder_count", g->responders_n);
    json_write_key(w, "responders");
    json_write_open(w, '[');
    for (size_t i = 0; i < g->listed_n; i++) {
        const struct execution *one = &g->responders[i];
        json_write_open(w, '{');
        json_write_text(w, "type", one->kind == KIND_SKILL ? "skill" : "workflow");
        json_write_id(w, "id", &one->responder_id);
        json_write_text(w, "name", one->responder_name);
        json_write_close(w, '}');
    }
    json_write_close(w, ']');
}

static void write_group(struct json_write *w, const struct error_list *list, const struct error_group *g)
{
    const struct execution *newest = execution_find(list->newest, list->newest_n, &g->newest);
    char hash[HASH_SIZE];
    snprintf(hash, sizeof hash, "%016" PRIx64, (uint64_t)g->hash);
    json_write_open(w, '{');
    json_write_text(w, "hash", hash);
    json_write_text(w, "reason", reason_name(g->reason));
    json_write_text(w, "step", g->step);
    json_write_text(w, "error", newest ? newest->error : NULL);
    json_write_int(w, "count", g->count);
    json_write_time(w, "first_at", g->first_ms, false);
    json_write_time(w, "last_at", g->last_ms, false);
    json_write_id(w, "execution_id", &g->newest);
    json_write_id(w, "responder_id", newest ? &newest->responder_id : &g->responders[0].responder_id);
    write_responders(w, g);
    json_write_close(w, '}');
}

int h_execution_errors(struct request *r)
{
    struct error_list list = {0};
    int64_t limit;
    if (!request_query_int(r, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit))
        return reply_rejected(r);
    if (!slow_begin(r)) /* up to 10,000 rows are grouped */
        return reply_rejected(r);
    enum err e = read_errors(r, limit + 1, &list);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "groups", list.n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_group(page.w, &list, &list.groups[i]);
    json_write_close(page.w, ']');
    json_write_flag(page.w, "has_more", page.has_more);
    json_write_int(page.w, "considered", list.considered);
    json_write_close(page.w, '}');
    return reply_written(r, 200, page.w);
}
