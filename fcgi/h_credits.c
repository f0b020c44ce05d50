/* GET /credits */
#include <talloc.h>

#include "core/json_write.h"
#include "core/store_credit.h"
#include "fcgi/app.h"
#include "fcgi/handlers.h"
#include "fcgi/request.h"

int h_credits_get(struct request *r)
{
    int64_t balance;
    size_t size;
    enum err e = credit_balance(r->app->db, &r->access.workspace_id, &balance);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_credits(w, "balance", balance);
    json_write_close(w, '}');
    const char *body = json_write_result(w, &size);
    return reply_json(r, 200, body, size);
}
