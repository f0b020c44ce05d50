#include "fcgi/forms/stop_reply.h"

#include "fcgi/forms/start_run.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

int stop_reply(struct request *r, const struct stop_request *req, enum stop_verdict verdict,
               const struct idempotency_match *replay)
{
    switch (verdict) {
    case STOP_DONE:
        return reply_json(r, req->first_response.status, req->first_response.body.at,
                          req->first_response.body.size);
    case STOP_REPLAYED:
        return reply_stored_response(r, &replay->execution_id, &replay->response);
    case STOP_KEY_REUSED:
        return reply_key_reused(r);
    case STOP_TERMINAL:
        return reply_problem(r, 400, "execution_terminal", "The execution has already ended.");
    default:
        return reply_err(r, stop_err(verdict));
    }
}
