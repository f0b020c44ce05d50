#include "cluster/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "deed/deed.h"

/* wsrep_local_state */
enum { STATE_DONOR = 2, STATE_SYNCED = 4 };

/* --- looking --- */

/* The text of a variable; "": it has no row. */
static const char *variable(const struct db_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(db_str(rows, i, NODE_STATUS_NAME), name) == 0)
            return db_str(rows, i, NODE_STATUS_VALUE);
    }
    return "";
}

/* Copies the address at a place of a comma-separated list; "" if there is none, or if it is too long. */
static void copy_member(const char *members, int place, char to[WRITER_NODE_SIZE])
{
    for (; place > 0 && members; place--) {
        members = strchr(members, ',');
        members = members ? members + 1 : NULL;
    }
    size_t size = members ? strcspn(members, ",") : 0;
    if (size >= WRITER_NODE_SIZE)
        size = 0;
    if (size > 0)
        memcpy(to, members, size);
    to[size] = '\0';
}

static bool is_member(const char *members, const char *node)
{
    char one[WRITER_NODE_SIZE];
    for (int i = 0; *node; i++) {
        copy_member(members, i, one);
        if (strcmp(one, node) == 0)
            return true;
        if (!*one)
            return false;
    }
    return false;
}

static enum err look_at_node(struct db *db, void *ctx, struct writer_look *look)
{
    struct db_rows *status, *variables;
    enum err e = db_run(db, ctx, SQL_NODE_VARIABLES, NULL, 0, &variables);
    if (e == OK)
        e = db_run(db, ctx, SQL_NODE_STATUS, NULL, 0, &status);
    if (e != OK)
        return e;
    look->is_clustered = strcmp(variable(variables, "wsrep_on"), "ON") == 0;
    look->is_read_only = strcmp(variable(variables, "read_only"), "OFF") != 0;
    look->is_ready =
        !look->is_clustered || (strcmp(variable(status, "wsrep_ready"), "ON") == 0 &&
                                strcmp(variable(status, "wsrep_cluster_status"), "Primary") == 0);
    look->local_state = atoi(variable(status, "wsrep_local_state"));
    look->index = atoi(variable(status, "wsrep_local_index"));
    look->members = variable(status, "wsrep_incoming_addresses");
    if (look->is_clustered)
        copy_member(look->members, look->index, look->self);
    return OK;
}

enum err writer_look(struct db *db, void *ctx, struct writer_look *look_r)
{
    struct db_rows *rows;
    *look_r = (struct writer_look){.members = ""};
    enum err e = look_at_node(db, ctx, look_r);
    if (e == OK && look_r->is_clustered && look_r->is_ready)
        e = db_run(db, ctx, SQL_WRITER_READ, NULL, 0, &rows);
    else
        return e;
    if (e != OK || rows->count == 0)
        return e;
    snprintf(look_r->writer, sizeof look_r->writer, "%s", db_str(rows, 0, WRITER_READ_NODE));
    look_r->since_ms = db_int(rows, 0, WRITER_READ_SINCE_MS);
    look_r->beat = db_int(rows, 0, WRITER_READ_BEAT);
    look_r->writer_is_member = is_member(look_r->members, look_r->writer);
    return OK;
}

/* --- deciding --- */

bool writer_is_self(const struct writer_look *look)
{
    if (!look->is_clustered)
        return look->is_ready && !look->is_read_only;
    return look->is_ready && !look->is_read_only && *look->self && strcmp(look->self, look->writer) == 0 &&
           (look->local_state == STATE_SYNCED || look->local_state == STATE_DONOR);
}

bool writer_can_read(const struct writer_look *look)
{
    return look->is_ready && (!look->is_clustered || look->local_state == STATE_SYNCED);
}

/* Records the look. True if there is no writer, or none that can write. */
static bool is_vacant(struct writer_watch *w, const struct writer_look *look, int64_t now_ms)
{
    bool is_new = strcmp(w->writer, look->writer) != 0 || w->beat != look->beat || w->seen_ms == 0;
    if (is_new) {
        memcpy(w->writer, look->writer, sizeof w->writer);
        w->beat = look->beat;
        w->seen_ms = now_ms;
    }
    return !look->writer_is_member || now_ms - w->seen_ms >= WRITER_SILENT_MS;
}

enum writer_action writer_decide(struct writer_watch *watch, const struct writer_look *look, int64_t now_ms)
{
    bool may_act = look->is_clustered && look->is_ready && !look->is_read_only && *look->self;
    if (!may_act || !is_vacant(watch, look, now_ms)) {
        watch->vacant_ms = 0;
        return may_act && writer_is_self(look) ? WRITER_BEAT : WRITER_WAIT;
    }
    if (watch->vacant_ms == 0)
        watch->vacant_ms = now_ms;
    if (strcmp(look->self, look->writer) == 0)
        return writer_is_self(look) ? WRITER_BEAT : WRITER_WAIT; /* what kept it from writing may be over */
    bool has_waited = now_ms - watch->vacant_ms >= (int64_t)WRITER_TURN_MS * look->index;
    return look->local_state == STATE_SYNCED && has_waited ? WRITER_TAKE : WRITER_WAIT;
}

/* --- writing --- */

enum err writer_take(struct db *db, const struct writer_look *look)
{
    struct db_value first[] = {
        [WRITER_INSERT_SET_ID] = db_number(1), [WRITER_INSERT_SET_NODE] = db_text(look->self)};
    struct db_value next[] = {db_text(look->self), db_text(look->writer), db_number(look->beat)};
    return *look->writer ? db_run(db, NULL, SQL_WRITER_TAKE, next, 3, NULL)
                         : db_run(db, NULL, SQL_WRITER_INSERT, first, WRITER_INSERT_SET_COUNT, NULL);
}

enum err writer_beat(struct db *db, const char *self)
{
    struct db_value arg = db_text(self);
    return db_run(db, NULL, SQL_WRITER_BEAT, &arg, 1, NULL);
}

enum err writer_switch(struct db *db, const struct writer_look *look, const char *node)
{
    struct db_value arg = db_text(node);
    const struct deed_detail detail[] = {{"from", look->writer}, {0}};
    const struct deed_statement change = {.query = SQL_WRITER_SWITCH,
                                          .args = &arg,
                                          .args_n = 1,
                                          .name = "cluster.switch",
                                          .target = node,
                                          .detail = detail};
    return is_member(look->members, node) ? deed_run(db, &change) : ERR_NOT_FOUND;
}
