#include "deed/deed.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "json/json_write.h"

/* 0: nobody acts */
static enum deed_actor actor_kind;
static char actor_name[DEED_ACTOR_MAX + 1], actor_origin[DEED_ORIGIN_MAX + 1];
/* The last deed of this actor: a transaction that is run again records the same one. */
static id last_id;
static char last_deed[64 + DEED_TARGET_MAX + 2];

/* Copies text, cut between two characters. */
static void cut_text(char *out, const char *text, size_t max)
{
    size_t n = utf8_cut(text, strlen(text), max);
    memcpy(out, text, n);
    out[n] = '\0';
}

void deed_begin(enum deed_actor kind, const char *actor, const char *origin)
{
    actor_kind = kind;
    cut_text(actor_name, actor, DEED_ACTOR_MAX);
    cut_text(actor_origin, origin, DEED_ORIGIN_MAX);
    last_deed[0] = '\0';
}

void deed_next(void)
{
    last_deed[0] = '\0';
}

void deed_end(void)
{
    actor_kind = 0;
}

static const char *actor_kind_name(void)
{
    static const char *const names[] = {
        [DEED_BY_USER] = "user", [DEED_BY_KEY] = "key", [DEED_BY_OPERATOR] = "operator"};
    return names[actor_kind];
}

/* The id of a deed: the same one if it is the last deed of this actor, recorded once more. */
static const id *deed_id(const char *name, const char *target)
{
    char deed[sizeof last_deed];
    snprintf(deed, sizeof deed, "%s %s", name, target);
    if (strcmp(deed, last_deed) != 0) {
        last_id = id_new();
        memcpy(last_deed, deed, sizeof last_deed);
    }
    return &last_id;
}

static const char *detail_json(void *ctx, const struct deed_detail *detail)
{
    if (!detail || !detail->name)
        return NULL;
    struct json_write *w = json_write_new(ctx);
    json_write_open(w, '{');
    for (; detail->name; detail++) {
        json_write_key(w, detail->name);
        if (detail->value)
            json_write_bytes(w, detail->value,
                             utf8_cut(detail->value, strlen(detail->value), DEED_VALUE_MAX));
        else
            json_write_null(w);
    }
    json_write_close(w, '}');
    return json_write_result(w, NULL);
}

static enum err find_deed(struct db_tx *tx, const id *deed, bool *found_r)
{
    struct db_value arg = db_id(deed);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_DEED_FIND, &arg, 1, &rows);
    *found_r = e == OK && rows->count > 0;
    return e;
}

enum err deed_record(struct db_tx *tx, const char *name, const id *workspace, const char *target,
                     const struct deed_detail *detail)
{
    char short_target[DEED_TARGET_MAX + 1];
    bool found = false;
    if (!actor_kind)
        return OK;
    cut_text(short_target, target, DEED_TARGET_MAX);
    const id *deed = deed_id(name, short_target);
    enum err e = tx->settling ? find_deed(tx, deed, &found) : OK;
    if (e != OK || found)
        return e;
    struct db_value args[] = {
        [DEED_INSERT_SET_ID] = db_id(deed),
        [DEED_INSERT_SET_AT_MS] = db_number(clock_wall_ms()),
        [DEED_INSERT_SET_WORKSPACE_ID] = workspace ? db_id(workspace) : db_null(),
        [DEED_INSERT_SET_ACTOR_KIND] = db_text(actor_kind_name()),
        [DEED_INSERT_SET_ACTOR] = db_text(actor_name),
        [DEED_INSERT_SET_ORIGIN] = db_text(actor_origin),
        [DEED_INSERT_SET_DEED] = db_text(name),
        [DEED_INSERT_SET_TARGET] = db_text(short_target),
        [DEED_INSERT_SET_DETAIL] = db_text(detail_json(tx->ctx, detail)),
    };
    return db_run(tx->db, tx->ctx, SQL_DEED_INSERT, args, DEED_INSERT_SET_COUNT, NULL);
}

/* --- the workspace that is changed --- */

enum err deed_hold(struct db_tx *tx, const id *workspace)
{
    struct db_rows *rows;
    if (!workspace || !id_is_set(workspace))
        return OK;
    struct db_value arg = db_id(workspace);
    /* The write, which is refused while the account is frozen, is the lock: whoever freezes it waits, or, on
     * another server, one of the two fails. */
    enum err e = db_run(tx->db, tx->ctx, SQL_DEED_HOLD, &arg, 1, &rows);
    if (e != OK || rows->affected > 0)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_DEED_ACCOUNT, &arg, 1, &rows);
    return e == OK ? (rows->count > 0 ? ERR_FROZEN : ERR_NOT_FOUND) : e;
}

/* --- changes of one statement --- */

/* Its row is followed by a write, so that the server flushes its log before the change is reported. */
enum err deed_find_committed(struct db_tx *tx, const char *name, const id *workspace, const char *target,
                             bool *found_r)
{
    char short_target[DEED_TARGET_MAX + 1];
    *found_r = false;
    if (!actor_kind || !tx->settling)
        return OK;
    cut_text(short_target, target, DEED_TARGET_MAX);
    enum err e = find_deed(tx, deed_id(name, short_target), found_r);
    struct db_value arg = workspace ? db_id(workspace) : db_null();
    return e == OK && *found_r ? db_run(tx->db, tx->ctx, SQL_DEED_TOUCH, &arg, 1, NULL) : e;
}

static enum err deed_run_work(struct db_tx *tx, void *arg)
{
    const struct deed_statement *s = arg;
    struct db_rows *rows;
    bool committed = false;
    enum err held = deed_hold(tx, s->workspace);
    if (held != OK && held != ERR_FROZEN)
        return held;
    /* it may have been frozen after the COMMIT whose answer was lost */
    enum err e = deed_find_committed(tx, s->name, s->workspace, s->target, &committed);
    if (e != OK || committed || held != OK)
        return e == OK && !committed ? held : e;
    if (s->before)
        e = s->before(tx, s->workspace);
    if (e != OK)
        return e;
    e = db_run(tx->db, tx->ctx, s->query, s->args, s->args_n, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_NOT_FOUND;
    return e == OK ? deed_record(tx, s->name, s->workspace, s->target, s->detail) : e;
}

enum err deed_run(struct db *db, const struct deed_statement *s)
{
    struct deed_statement copy = *s;
    return db_transaction(db, deed_run_work, &copy);
}
