/* GET /spaces/{space}/skills, GET /spaces/{space}/skills/{slug} */
#include "view/skill.h"
#include "fcgi/forms/skill_reply.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

static int reply_data(struct request *r, struct json_write *w)
{
    json_write_close(w, '}');
    return reply_written(r, 200, w);
}

static struct json_write *begin_data(struct request *r)
{
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_key(w, "data");
    return w;
}

int h_skill_list(struct request *r)
{
    struct skill *list;
    struct skill_version *versions;
    size_t n, versions_n;
    if (!require_own_space(r))
        return reply_rejected(r);
    enum err e = skill_list(r->app->db, r, &r->access.workspace_id, &list, &n);
    if (e == OK)
        e = skill_version_list(r->app->db, r, &r->access.workspace_id, NULL, &versions, &versions_n);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = begin_data(r);
    json_write_open(w, '[');
    for (size_t i = 0; i < n; i++)
        view_skill(w, &list[i], versions, versions_n, true);
    json_write_close(w, ']');
    return reply_data(r, w);
}

int h_skill_get(struct request *r)
{
    struct skill skill;
    struct skill_version *versions;
    size_t versions_n;
    if (!require_own_space(r))
        return reply_rejected(r);
    enum err e = skill_get_current(r->app->db, r, &r->access.workspace_id, r->path_values[1], &skill);
    if (e == OK)
        e = skill_version_list(r->app->db, r, &r->access.workspace_id, &skill.id, &versions, &versions_n);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = begin_data(r);
    view_skill(w, &skill, versions, versions_n, true);
    return reply_data(r, w);
}
