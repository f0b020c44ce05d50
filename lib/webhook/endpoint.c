#include "webhook/endpoint.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "account/once.h"
#include "base/clock.h"
#include "base/log.h"
#include "deed/deed.h"
#include "secret/seal.h"

static const char workspace_seal_name[] = WEBHOOK_SEAL_NAME;

const char *webhook_disabled_name(enum webhook_disabled reason)
{
    static const char *const names[] = {
        [WEBHOOK_BY_REQUEST] = "by_request", [WEBHOOK_GONE] = "gone", [WEBHOOK_FAILING] = "failing"};
    return reason < sizeof names / sizeof names[0] ? names[reason] : NULL;
}

bool webhook_url_fits(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    size_t authority = scheme ? strcspn(url + scheme, "/?") : 0;
    if (authority == 0 || url[scheme] == ':' || strlen(url) > WEBHOOK_URL_MAX || strpbrk(url, "#\\ \"<>") ||
        memchr(url + scheme, '@', authority))
        return false;
    for (const char *p = url; *p; p++) {
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
            return false;
    }
    return true;
}

char *webhook_host(void *ctx, const char *url)
{
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    char *host = talloc_strndup(ctx, start, strcspn(start, "/?#"));
    for (char *p = host; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return host;
}

/* --- secrets --- */

/* A secret is sealed like a secret of this name, which binds it to its row. */
static void seal_name_of(const id *webhook, char name_r[SECRET_NAME_MAX + 1])
{
    snprintf(name_r, SECRET_NAME_MAX + 1, WEBHOOK_SEAL_NAME ".%s", webhook->text);
}

/* The bytes are of ctx. */
static void seal_secret(void *ctx, const uint8_t *key, const id *workspace, const char *name,
                        const char *secret, struct db_value *nonce_r, struct db_value *sealed_r)
{
    size_t size = strlen(secret);
    uint8_t *nonce = talloc_array(ctx, uint8_t, SECRET_NONCE_SIZE);
    uint8_t *sealed = talloc_array(ctx, uint8_t, size + SECRET_SEAL_SIZE);
    secret_seal(key, workspace, name, secret, size, nonce, sealed);
    *nonce_r = db_bytes(nonce, SECRET_NONCE_SIZE);
    *sealed_r = db_bytes(sealed, size + SECRET_SEAL_SIZE);
}

static enum err open_secret(void *ctx, const uint8_t *key, const id *workspace, const char *name,
                            struct db_value nonce, struct db_value sealed, const char **secret_r)
{
    size_t size;
    char *secret = NULL;
    enum err e = secret_open(ctx, key, workspace, name, (const uint8_t *)nonce.text, nonce.size,
                             (const uint8_t *)sealed.text, sealed.size, &secret, &size);
    if (e != OK)
        log_error("webhook.secret_decrypt_failed", "workspace=%s name=%s", workspace->text, name);
    *secret_r = secret;
    return e;
}

enum err webhook_open(void *ctx, const uint8_t *key, struct webhook *w)
{
    char name[SECRET_NAME_MAX + 1];
    seal_name_of(&w->id, name);
    enum err e = open_secret(ctx, key, &w->workspace_id, name, w->nonce, w->sealed, &w->secret);
    w->old_secret = NULL;
    if (e == OK && w->old_sealed.text && w->old_until_ms > clock_wall_ms())
        e = open_secret(ctx, key, &w->workspace_id, name, w->old_nonce, w->old_sealed, &w->old_secret);
    return e;
}

enum err webhook_now(struct db *db, void *ctx, int64_t *now_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WEBHOOK_NOW, NULL, 0, &rows);
    *now_r = e == OK ? db_int(rows, 0, WEBHOOK_NOW_NOW_MS) : 0;
    return e;
}

/* --- rows --- */

static struct db_value cell_bytes(const struct db_rows *rows, size_t r, size_t column)
{
    const struct db_cell *cell = db_cell(rows, r, column);
    return cell->is_null ? db_null() : db_bytes(cell->text, cell->size);
}

struct webhook webhook_from_row(const struct db_rows *rows, size_t r)
{
    return (struct webhook){
        .id = db_get_id(rows, r, WEBHOOK_GET_ID),
        .workspace_id = db_get_id(rows, r, WEBHOOK_GET_WORKSPACE_ID),
        .url = db_str(rows, r, WEBHOOK_GET_URL),
        .events = (uint32_t)db_int(rows, r, WEBHOOK_GET_EVENTS),
        .workflow_id = db_get_id(rows, r, WEBHOOK_GET_WORKFLOW_ID),
        .tags = db_str(rows, r, WEBHOOK_GET_TAGS),
        .description = db_str(rows, r, WEBHOOK_GET_DESCRIPTION),
        .enabled = db_int(rows, r, WEBHOOK_GET_ENABLED) != 0,
        .disabled_reason = (enum webhook_disabled)db_int(rows, r, WEBHOOK_GET_DISABLED_REASON),
        .disabled_ms = db_int(rows, r, WEBHOOK_GET_DISABLED_MS),
        .failing_since_ms = db_int(rows, r, WEBHOOK_GET_FAILING_SINCE_MS),
        .nonce = cell_bytes(rows, r, WEBHOOK_GET_NONCE),
        .sealed = cell_bytes(rows, r, WEBHOOK_GET_SEALED),
        .old_nonce = cell_bytes(rows, r, WEBHOOK_GET_OLD_NONCE),
        .old_sealed = cell_bytes(rows, r, WEBHOOK_GET_OLD_SEALED),
        .old_until_ms = db_int(rows, r, WEBHOOK_GET_OLD_UNTIL_MS),
        .created_ms = db_int(rows, r, WEBHOOK_GET_CREATED_MS),
        .updated_ms = db_int(rows, r, WEBHOOK_GET_UPDATED_MS),
    };
}

enum err webhook_write(struct db_tx *tx, const struct webhook *w)
{
    struct db_value v[WEBHOOK_WRITE_SET_COUNT] = {
        [WEBHOOK_WRITE_SET_ID] = db_id(&w->id),
        [WEBHOOK_WRITE_SET_WORKSPACE_ID] = db_id(&w->workspace_id),
        [WEBHOOK_WRITE_SET_URL] = db_text(w->url),
        [WEBHOOK_WRITE_SET_EVENTS] = db_number(w->events),
        [WEBHOOK_WRITE_SET_WORKFLOW_ID] = db_id(&w->workflow_id),
        [WEBHOOK_WRITE_SET_TAGS] = db_text(w->tags),
        [WEBHOOK_WRITE_SET_DESCRIPTION] = db_text(w->description),
        [WEBHOOK_WRITE_SET_ENABLED] = db_number(w->enabled),
        [WEBHOOK_WRITE_SET_DISABLED_REASON] = db_number_or_null(w->disabled_reason, !w->enabled),
        [WEBHOOK_WRITE_SET_DISABLED_MS] = db_number_or_null(w->disabled_ms, !w->enabled),
        [WEBHOOK_WRITE_SET_FAILING_SINCE_MS] = db_number_or_null(w->failing_since_ms, w->failing_since_ms),
        [WEBHOOK_WRITE_SET_NONCE] = w->nonce,
        [WEBHOOK_WRITE_SET_SEALED] = w->sealed,
        [WEBHOOK_WRITE_SET_OLD_NONCE] = w->old_nonce,
        [WEBHOOK_WRITE_SET_OLD_SEALED] = w->old_sealed,
        [WEBHOOK_WRITE_SET_OLD_UNTIL_MS] = db_number_or_null(w->old_until_ms, w->old_until_ms),
        [WEBHOOK_WRITE_SET_CREATED_MS] = db_number(w->created_ms),
        [WEBHOOK_WRITE_SET_UPDATED_MS] = db_number(w->updated_ms),
    };
    return db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_WRITE, NULL, 0, v, WEBHOOK_WRITE_SET_COUNT, 1, NULL);
}

/* --- reading --- */

enum err webhook_get(struct db *db, void *ctx, const uint8_t *key, const id *workspace, const id *webhook,
                     struct webhook *w_r)
{
    struct db_value args[] = {db_id(workspace), db_id(webhook)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WEBHOOK_GET, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *w_r = webhook_from_row(rows, 0);
    return key ? webhook_open(ctx, key, w_r) : OK;
}

enum err webhook_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                      struct webhook **list_r, size_t *n_r)
{
    id first = id_is_set(after) ? *after : id_floor(0);
    struct db_value args[] = {db_id(workspace), db_id(&first), db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WEBHOOK_LIST, args, 3, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *list_r = talloc_array(ctx, struct webhook, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[i] = webhook_from_row(rows, i);
    return OK;
}

/* --- changes --- */

struct creation {
    struct webhook *w;
    int64_t quota;
};

/* The hold makes the count exact. */
static enum err create_work(struct db_tx *tx, void *arg)
{
    const struct creation *c = arg;
    struct db_value workspace = db_id(&c->w->workspace_id);
    struct db_rows *rows;
    bool committed = false;
    enum err e = deed_hold(tx, &c->w->workspace_id);
    if (e == OK)
        e = deed_find_committed(tx, "webhook.create", &c->w->workspace_id, c->w->id.text, &committed);
    if (e != OK || committed)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_QUOTA_COUNT_WEBHOOKS, &workspace, 1, &rows);
    if (e == OK && db_int(rows, 0, 0) >= c->quota)
        return ERR_LIMIT;
    if (e == OK)
        e = webhook_write(tx, c->w);
    return e == OK ? deed_record(tx, "webhook.create", &c->w->workspace_id, c->w->id.text, NULL) : e;
}

enum err webhook_create(struct db *db, const uint8_t *key, struct webhook *w, int64_t quota,
                        struct once *once)
{
    struct creation c = {w, quota};
    char name[SECRET_NAME_MAX + 1];
    void *scratch = talloc_new(NULL);
    seal_name_of(&w->id, name);
    seal_secret(scratch, key, &w->workspace_id, name, w->secret, &w->nonce, &w->sealed);
    enum err e = once_transaction(db, once, create_work, &c);
    talloc_free(scratch);
    return e;
}

struct changing {
    void *ctx;
    const uint8_t *key;
    const id *workspace, *webhook, *message;
    const struct webhook_change *change;
    struct webhook *w;
    int64_t now_ms;
};

static void change_secret(struct changing *c, void *scratch, struct webhook *w)
{
    char name[SECRET_NAME_MAX + 1];
    seal_name_of(&w->id, name);
    w->old_nonce = w->nonce;
    w->old_sealed = w->sealed;
    w->old_until_ms = c->now_ms + WEBHOOK_ROTATION_MS;
    seal_secret(scratch, c->key, &w->workspace_id, name, c->change->secret, &w->nonce, &w->sealed);
}

static void change_enabled(struct changing *c, struct webhook *w)
{
    if (w->enabled == c->change->enabled)
        return;
    w->enabled = c->change->enabled;
    w->disabled_reason = WEBHOOK_BY_REQUEST;
    w->disabled_ms = c->now_ms;
}

/* True if what has failed before tells nothing about the endpoint any more. */
static bool begins_anew(const struct webhook_change *change, const struct webhook *w)
{
    return (change->url && strcmp(change->url, w->url) != 0) || change->secret ||
           (change->has_enabled && change->enabled && !w->enabled);
}

/* Changes a row that was read; false: no failure is forgotten. */
static bool apply_change(struct changing *c, void *scratch, struct webhook *w)
{
    const struct webhook_change *change = c->change;
    bool is_new = begins_anew(change, w);
    if (change->url)
        w->url = change->url;
    if (change->has_events)
        w->events = change->events;
    if (change->has_workflow)
        w->workflow_id = change->workflow_id;
    if (change->has_tags)
        w->tags = change->tags;
    if (change->has_description)
        w->description = change->description;
    if (change->has_enabled)
        change_enabled(c, w);
    if (change->secret)
        change_secret(c, scratch, w);
    w->updated_ms = c->now_ms;
    if (is_new)
        w->failing_since_ms = 0;
    return is_new;
}

/* What has failed does not delay an endpoint that begins anew. What waits for one that is switched off is
 * given up at once. */
static enum err reset_lane(struct db_tx *tx, const struct webhook *w)
{
    struct db_value args[] = {db_number(w->enabled ? INT64_MAX : 0), db_id(&w->id)};
    return db_run(tx->db, tx->ctx, SQL_WEBHOOK_LANE_RESET, args, 2, NULL);
}

static enum err change_work(struct db_tx *tx, void *arg)
{
    struct changing *c = arg;
    const struct webhook_change *change = c->change;
    struct db_value args[] = {db_id(c->workspace), db_id(c->webhook)};
    struct db_rows *rows;
    bool committed = false;
    enum err e = deed_hold(tx, c->workspace);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_LOCK, args, 2, &rows);
    if (e == OK)
        e = deed_find_committed(tx, "webhook.change", c->workspace, c->webhook->text, &committed);
    if (e != OK || committed)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    struct webhook w = webhook_from_row(rows, 0);
    bool is_new = apply_change(c, tx->ctx, &w);
    e = webhook_write(tx, &w);
    if (e == OK && (is_new || !w.enabled))
        e = reset_lane(tx, &w);
    const struct deed_detail detail[] = {{"enabled", w.enabled ? "true" : "false"},
                                         {"secret_replaced", change->secret ? "true" : "false"},
                                         {"url_changed", change->url ? "true" : "false"},
                                         {0}};
    return e == OK ? deed_record(tx, "webhook.change", c->workspace, c->webhook->text, detail) : e;
}

enum err webhook_change(struct db *db, void *ctx, const uint8_t *key, const id *workspace, const id *webhook,
                        const struct webhook_change *change, struct webhook *w_r)
{
    struct changing c = {.ctx = ctx,
                         .key = key,
                         .workspace = workspace,
                         .webhook = webhook,
                         .change = change,
                         .w = w_r,
                         .now_ms = clock_wall_ms()};
    enum err e = db_transaction(db, change_work, &c);
    return e == OK ? webhook_get(db, ctx, change->secret ? key : NULL, workspace, webhook, w_r) : e;
}

static enum err delete_work(struct db_tx *tx, void *arg)
{
    const struct changing *c = arg;
    struct db_value args[] = {db_id(c->workspace), db_id(c->webhook)};
    struct db_value lane[WEBHOOK_LANE_WAKE_SET_COUNT] = {
        [WEBHOOK_LANE_WAKE_SET_ID] = db_id(c->webhook),
        [WEBHOOK_LANE_WAKE_SET_WORKSPACE_ID] = db_id(c->workspace),
        [WEBHOOK_LANE_WAKE_SET_WEBHOOK_ID] = db_id(c->webhook),
        [WEBHOOK_LANE_WAKE_SET_DUE_MS] = db_number(0),
        [WEBHOOK_LANE_WAKE_SET_PENDING] = db_number(0),
    };
    struct db_rows *rows;
    bool committed = false;
    enum err e = deed_hold(tx, c->workspace);
    if (e == OK)
        e = deed_find_committed(tx, "webhook.delete", c->workspace, c->webhook->text, &committed);
    if (e != OK || committed)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_DELETE, args, 2, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_NOT_FOUND;
    /* the lane's next claim finds no endpoint, and deletes the deliveries */
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_WEBHOOK_LANE_WAKE, NULL, 0, lane, WEBHOOK_LANE_WAKE_SET_COUNT, 1,
                        NULL);
    return e == OK ? deed_record(tx, "webhook.delete", c->workspace, c->webhook->text, NULL) : e;
}

enum err webhook_delete(struct db *db, const id *workspace, const id *webhook)
{
    struct changing c = {.workspace = workspace, .webhook = webhook};
    return db_transaction(db, delete_work, &c);
}

static enum err test_work(struct db_tx *tx, void *arg)
{
    const struct changing *c = arg;
    struct db_value args[] = {db_id(c->workspace), db_id(c->webhook)};
    struct db_rows *rows;
    struct outbox_entry entry = {.id = *c->message,
                                 .workspace_id = *c->workspace,
                                 .webhook_id = *c->webhook,
                                 .event = WEBHOOK_TEST,
                                 .at_ms = clock_wall_ms()};
    bool committed = false;
    enum err e = deed_hold(tx, c->workspace);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_WEBHOOK_LOCK, args, 2, &rows);
    if (e == OK)
        e = deed_find_committed(tx, "webhook.test", c->workspace, c->webhook->text, &committed);
    if (e != OK || committed)
        return e;
    if (rows->count == 0)
        return ERR_NOT_FOUND;
    if (db_int(rows, 0, WEBHOOK_GET_ENABLED) == 0)
        return ERR_CONFLICT;
    e = outbox_insert(tx, &entry, 1);
    return e == OK ? deed_record(tx, "webhook.test", c->workspace, c->webhook->text, NULL) : e;
}

enum err webhook_test(struct db *db, const id *workspace, const id *webhook, const id *message,
                      struct once *once)
{
    struct changing c = {.workspace = workspace, .webhook = webhook, .message = message};
    return once_transaction(db, once, test_work, &c);
}

/* --- the secret of a workspace --- */

static enum err make_workspace_secret(struct db_tx *tx, const uint8_t *key, const id *workspace)
{
    char secret[WEBHOOK_SECRET_SIZE];
    struct db_value args[WEBHOOK_SECRET_PUT_SET_COUNT + 1];
    webhook_secret_make(secret);
    seal_secret(tx->ctx, key, workspace, workspace_seal_name, secret, &args[WEBHOOK_SECRET_PUT_SET_NONCE],
                &args[WEBHOOK_SECRET_PUT_SET_SEALED]);
    sodium_memzero(secret, sizeof secret);
    args[WEBHOOK_SECRET_PUT_SET_CREATED_MS] = db_number(clock_wall_ms());
    args[WEBHOOK_SECRET_PUT_SET_COUNT] = db_id(workspace);
    return db_run(tx->db, tx->ctx, SQL_WEBHOOK_SECRET_PUT, args, WEBHOOK_SECRET_PUT_SET_COUNT + 1, NULL);
}

/* ERR_NOT_FOUND: none was made so far. */
static enum err read_workspace_secret(struct db *db, void *ctx, const uint8_t *key, const id *workspace,
                                      struct webhook_secrets *s_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WEBHOOK_SECRET_GET, &arg, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    *s_r = (struct webhook_secrets){.old_until_ms = db_int(rows, 0, WEBHOOK_SECRET_GET_OLD_UNTIL_MS)};
    e = open_secret(ctx, key, workspace, workspace_seal_name, cell_bytes(rows, 0, WEBHOOK_SECRET_GET_NONCE),
                    cell_bytes(rows, 0, WEBHOOK_SECRET_GET_SEALED), &s_r->secret);
    if (e == OK && s_r->old_until_ms > clock_wall_ms())
        e = open_secret(ctx, key, workspace, workspace_seal_name,
                        cell_bytes(rows, 0, WEBHOOK_SECRET_GET_OLD_NONCE),
                        cell_bytes(rows, 0, WEBHOOK_SECRET_GET_OLD_SEALED), &s_r->old_secret);
    return e;
}

enum err webhook_lane_secret(struct db_tx *tx, const uint8_t *key, const id *workspace,
                             struct webhook_secrets *s_r)
{
    enum err e = read_workspace_secret(tx->db, tx->ctx, key, workspace, s_r);
    if (e != ERR_NOT_FOUND)
        return e;
    e = make_workspace_secret(tx, key, workspace);
    return e == OK ? read_workspace_secret(tx->db, tx->ctx, key, workspace, s_r) : e;
}

struct secret_making {
    const uint8_t *key;
    const id *workspace;
};

static enum err make_work(struct db_tx *tx, void *arg)
{
    const struct secret_making *m = arg;
    enum err e = deed_hold(tx, m->workspace);
    return e == OK ? make_workspace_secret(tx, m->key, m->workspace) : e;
}

enum err webhook_workspace_secret(struct db *db, void *ctx, const uint8_t *key, const id *workspace,
                                  struct webhook_secrets *s_r)
{
    enum err e = read_workspace_secret(db, ctx, key, workspace, s_r);
    if (e != ERR_NOT_FOUND)
        return e;
    e = db_transaction(db, make_work, &(struct secret_making){key, workspace});
    return e == OK ? read_workspace_secret(db, ctx, key, workspace, s_r) : e;
}
