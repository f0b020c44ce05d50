#include "fcgi/forms/skill_reply.h"

#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "view/skill.h"

struct span skill_execution_body(struct request *r, const struct skill_execution *exec)
{
    struct json_write *w = json_write_new(r);
    struct span body;
    json_write_open(w, '{');
    json_write_key(w, "data");
    view_skill_execution(w, exec);
    json_write_close(w, '}');
    body.at = json_write_result(w, &body.size);
    return body;
}

int skill_reply(struct request *r, int status, const id *execution)
{
    struct skill_execution exec;
    enum err e = skill_execution_get(r->app->db, r, &r->access.workspace_id, execution, &exec);
    if (e != OK)
        return reply_err(r, e);
    struct span body = skill_execution_body(r, &exec);
    return reply_json(r, status, body.at, body.size);
}

bool require_own_space(struct request *r)
{
    id space;
    if (!request_path_id(r, 0, &space))
        return false;
    if (id_equal(&space, &r->access.workspace_id))
        return true;
    reply_not_found(r);
    return false;
}
