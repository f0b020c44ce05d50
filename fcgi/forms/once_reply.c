#include "fcgi/forms/once_reply.h"

#include "fcgi/forms/start_run.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "json/json_write.h"

bool once_read(struct request *r, struct once *o, int status)
{
    o->workspace_id = r->access.workspace_id;
    o->ctx = r;
    o->response.status = status;
    return request_idempotency(r, &o->key, o->fingerprint);
}

enum err once_respond(struct once *o, struct json_write *w)
{
    o->response.body.at = json_write_result(w, &o->response.body.size);
    return OK;
}

int once_reject(struct request *r, const struct once *o)
{
    return reject_or_replay(r, o->key, o->fingerprint);
}

int once_refuse(struct request *r, const struct once *o, int status)
{
    return refuse_or_replay(r, o->key, o->fingerprint, status);
}

int once_reply(struct request *r, const struct once *o)
{
    if (o->match.state == IDEMPOTENCY_REPLAY)
        return reply_stored_response(r, &o->match.execution_id, &o->match.response);
    if (o->match.state == IDEMPOTENCY_REUSED)
        return reply_key_reused(r);
    return reply_json(r, o->response.status, o->response.body.at, o->response.body.size);
}
