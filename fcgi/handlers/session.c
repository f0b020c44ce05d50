/* POST, GET and DELETE /session: the console's signing in and out. */
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/scopes.h"
#include "fcgi/forms/form.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/console.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "session/session.h"
#include "json/json_write.h"

static const int64_t HOUR_MS = 3600000, MINUTE_MS = 60000;

static void write_scopes(struct json_write *w, uint32_t scopes)
{
    json_write_key(w, "scopes");
    json_write_open(w, '[');
    for (uint32_t bit = 1; bit <= SCOPE_OPERATOR_WRITE; bit <<= 1) {
        const char *name = scopes & bit ? scope_name((enum scope)bit) : NULL;
        if (name)
            json_write_bytes(w, name, strlen(name));
    }
    json_write_close(w, ']');
}

static void write_workspace(struct json_write *w, const struct session_description *d)
{
    json_write_key(w, "workspace");
    if (!id_is_set(&d->workspace_id)) {
        json_write_null(w);
        return;
    }
    json_write_open(w, '{');
    json_write_id(w, "id", &d->workspace_id);
    json_write_text(w, "name", d->workspace_name);
    json_write_close(w, '}');
}

static void write_description(struct request *r, struct json_write *w, const struct session_description *d)
{
    int64_t idle_ends_ms = d->session.used_ms + r->app->config->console.idle_minutes * MINUTE_MS;
    int64_t ends_ms = d->session.ends_ms;
    if (d->owner_expires_ms && d->owner_expires_ms < ends_ms)
        ends_ms = d->owner_expires_ms;
    json_write_open(w, '{');
    json_write_text(w, "kind", d->role ? "operator" : "key");
    json_write_text(w, "name", d->name);
    json_write_text(w, "role", d->role ? role_name(d->role) : NULL);
    write_scopes(w, d->scopes);
    write_workspace(w, d);
    json_write_time(w, "created_at", d->session.created_ms, true);
    json_write_time(w, "expires_at", ends_ms, true);
    json_write_time(w, "idle_expires_at", idle_ends_ms < ends_ms ? idle_ends_ms : ends_ms, true);
    json_write_close(w, '}');
}

static int reply_session(struct request *r, const id *session)
{
    struct session_description d;
    enum err e = session_describe(r->app->db, r, session, &d);
    if (e != OK)
        return reply_err(r, e);
    struct json_write *w = json_write_new(r);
    write_description(r, w, &d);
    reply_header(r, "Cache-Control", "no-store");
    return reply_written(r, 200, w);
}

/* For the audit log; NULL: an operator's session belongs to no workspace. */
static const id *workspace_of(const struct request *r)
{
    return id_is_set(&r->access.workspace_id) ? &r->access.workspace_id : NULL;
}

int h_session_create(struct request *r)
{
    json_object *body;
    char cookie[SESSION_TOKEN_SIZE];
    struct session_replaced old;
    if (!console_check_page(r) || !request_json(r, &body) ||
        (body && !form_members_are_known(r, body, "token")))
        return reply_rejected(r);
    const char *token = json_get_text(body, "token");
    if (!token) {
        form_reject_value(r, "token", "an API key or an operator's token");
        return reply_rejected(r);
    }
    if (!auth_check_token(r, token) || !auth_take_rate(r) || !auth_find_replaced_session(r, &old))
        return reply_rejected(r);
    int64_t lifetime_ms = r->app->config->console.session_hours * HOUR_MS;
    struct session session = {.operator_id = r->access.operator_id};
    if (!id_is_set(&session.operator_id))
        session.key_id = r->access.key_id;
    enum err e = session_create(r->app->db, r->app->config->cell.name, &session, workspace_of(r), lifetime_ms,
                                &old, cookie);
    if (e != OK)
        return reply_err(r, e);
    if (id_is_set(&old.id))
        auth_forget_session(r);
    atomic_fetch_add_explicit(&r->app->shared->metrics.sessions, 1, memory_order_relaxed);
    console_set_cookie(r, cookie, lifetime_ms / 1000);
    return reply_session(r, &session.id);
}

int h_session_get(struct request *r)
{
    return reply_session(r, &r->access.session_id);
}

int h_session_delete(struct request *r)
{
    enum err e = session_delete(r->app->db, &r->access.session_id, workspace_of(r));
    if (e != OK && e != ERR_NOT_FOUND) /* not found: it was deleted at the same time */
        return reply_err(r, e);
    auth_forget_session(r);
    console_set_cookie(r, "", 0);
    return reply_empty(r, 204);
}
