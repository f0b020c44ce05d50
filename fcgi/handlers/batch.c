/* GET /batches/{id} */
#include "base/clock.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/batch_summary.h"
#include "json/json_write.h"

static void write_counts(struct json_write *w, const struct batch_summary *s)
{
    json_write_key(w, "counts");
    json_write_open(w, '{');
    for (int state = STATE_QUEUED; state <= STATE_STOPPED; state++)
        json_write_int(w, state_name((enum run_state)state), s->runs[state]);
    json_write_close(w, '}');
}

static const char *batch_status(const struct batch_summary *s)
{
    return s->is_open                                           ? "accepting"
           : s->runs[STATE_QUEUED] + s->runs[STATE_RUNNING] > 0 ? "running"
                                                                : "finished";
}

int h_batch_get(struct request *r)
{
    struct batch_summary s;
    id batch;
    if (!request_path_id(r, 0, &batch))
        return reply_rejected(r);
    enum err e = batch_summary_read(r->app->db, r, &r->access.workspace_id, &batch, &s);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    int64_t accepted = 0;
    for (int state = STATE_QUEUED; state <= STATE_STOPPED; state++)
        accepted += s.runs[state];
    json_write_open(w, '{');
    json_write_id(w, "batch_id", &s.batch_id);
    json_write_id(w, "workflow_id", &s.responder_id);
    json_write_time(w, "created_at", id_ms(&s.batch_id), false);
    json_write_text(w, "status", batch_status(&s));
    if (s.items >= 0)
        json_write_int(w, "items", s.items);
    else
        json_write_text(w, "items", NULL);
    json_write_int(w, "accepted", accepted);
    write_counts(w, &s);
    json_write_close(w, '}');
    size_t size;
    const char *text = json_write_result(w, &size);
    return reply_json(r, 200, text, size);
}
