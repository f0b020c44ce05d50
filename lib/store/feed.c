#include "store/feed.h"

#include <talloc.h>

static enum err read_state(struct db *db, void *ctx, const id *workspace, struct feed_state *state_r,
                           int64_t *wanted_for_ms_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_FEED_GET, &arg, 1, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return e;
    state_r->last_id = db_int(rows, 0, FEED_GET_LAST_ID);
    state_r->removed_id = db_int(rows, 0, FEED_GET_REMOVED_ID);
    *wanted_for_ms_r = db_int(rows, 0, FEED_GET_WANTED_FOR_MS);
    return OK;
}

enum err feed_open(struct db *db, void *ctx, const id *workspace, int64_t keep_ms, struct feed_state *state_r)
{
    int64_t wanted_for_ms;
    enum err e = read_state(db, ctx, workspace, state_r, &wanted_for_ms);
    if ((e != OK && e != ERR_NOT_FOUND) || (e == OK && wanted_for_ms >= keep_ms / 2))
        return e;
    struct db_value args[] = {db_number(keep_ms), db_id(workspace)};
    e = db_run(db, ctx, SQL_FEED_WANT, args, 2, NULL);
    return e == OK ? read_state(db, ctx, workspace, state_r, &wanted_for_ms) : e;
}

/* --- numbering --- */

static enum err number_rows(struct db_tx *tx, const id *workspace, const struct db_rows *fresh,
                            int64_t last_id)
{
    struct db_value *each = talloc_array(tx->ctx, struct db_value, 3 * fresh->count + 1);
    for (size_t i = 0; i < fresh->count; i++) {
        each[3 * i] = db_text(db_str(fresh, i, FEED_NEW_EXECUTION_ID));
        each[3 * i + 1] = db_id(workspace);
        each[3 * i + 2] = db_number(last_id + 1 + (int64_t)i);
    }
    enum err e = db_run_each(tx->db, tx->ctx, SQL_FEED_NUMBER, NULL, 0, each, 3, fresh->count, NULL);
    struct db_value args[] = {db_number(last_id + (int64_t)fresh->count), db_id(workspace)};
    return e == OK ? db_run(tx->db, tx->ctx, SQL_FEED_ADVANCE, args, 2, NULL) : e;
}

struct feed_numbering {
    id workspace;
    /* more rows may be left */
    bool more;
};

/* Reads the rows after the lock was taken: what another host has numbered in the meantime has its ids then.
 */
static enum err feed_number_work(struct db_tx *tx, void *arg)
{
    struct feed_numbering *n = arg;
    const id *workspace = &n->workspace;
    struct db_value one = db_id(workspace);
    struct db_rows *feed, *fresh;
    enum err e = db_run(tx->db, tx->ctx, SQL_FEED_LOCK, &one, 1, &feed);
    if (e != OK || feed->count == 0)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_FEED_NEW, &one, 1, &fresh);
    n->more = n->more || (e == OK && fresh->count == FEED_NUMBER_MAX);
    return e == OK && fresh->count > 0 ? number_rows(tx, workspace, fresh, db_int(feed, 0, FEED_LOCK_LAST_ID))
                                       : e;
}

enum err feed_number(struct db *db, void *ctx, const id *workspace, bool *more_r)
{
    struct db_value one = db_id(workspace);
    struct db_rows *fresh;
    struct feed_numbering n = {.workspace = *workspace};
    enum err e = db_run(db, ctx, SQL_FEED_NEW, &one, 1, &fresh);
    n.more = e == OK && fresh->count == FEED_NUMBER_MAX;
    if (e == OK && fresh->count > 0)
        e = db_transaction(db, feed_number_work, &n);
    *more_r = n.more;
    return e;
}

enum err feed_read(struct db *db, void *ctx, const id *workspace, int64_t after, int64_t until,
                   struct feed_row **rows_r, size_t *count_r)
{
    struct db_value args[] = {db_id(workspace), db_number(after), db_number(until), db_number(FEED_PAGE_MAX)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_FEED_PAGE, args, 4, &rows);
    *count_r = e == OK ? rows->count : 0;
    *rows_r = talloc_zero_array(ctx, struct feed_row, *count_r + 1);
    for (size_t i = 0; i < *count_r; i++) {
        (*rows_r)[i] = (struct feed_row){
            .id = db_int(rows, i, FEED_PAGE_ID),
            .ids = {db_get_id(rows, i, FEED_PAGE_EXECUTION_ID), db_get_id(rows, i, FEED_PAGE_RESPONDER_ID),
                    db_get_id(rows, i, FEED_PAGE_PARENT_ID)},
            .kind = (enum responder_kind)db_int(rows, i, FEED_PAGE_KIND),
            .state = (enum run_state)db_int(rows, i, FEED_PAGE_STATE),
            .reason = (enum failure_reason)db_int(rows, i, FEED_PAGE_FAILURE_REASON),
            .seq = (int)db_int(rows, i, FEED_PAGE_LAST_SEQ),
            .ended_ms = db_int(rows, i, FEED_PAGE_ENDED_MS),
            .tags = db_str(rows, i, FEED_PAGE_TAGS),
        };
    }
    return e;
}

/* --- retention --- */

/* Rows of feed_next_to_trim. */
enum { FEEDS_PAGE = 64 };

struct feed_trimming {
    id workspace;
    int64_t keep_ms;
    uint64_t removed;
};

/* The feed is deleted with its last rows. Until then, an id is passed over, so that whoever has read it
 * before learns that something is missing. */
static enum err remove_unwanted(struct db_tx *tx, struct feed_trimming *t, int64_t last_id)
{
    struct db_value one = db_id(&t->workspace), mark[] = {db_number(last_id + 1), db_id(&t->workspace)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_FEED_ADVANCE, mark, 2, NULL);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_FEED_REMOVED, mark, 2, NULL);
    if (e == OK)
        e = db_run(tx->db, tx->ctx, SQL_FEED_REMOVE_ANY, &one, 1, &rows);
    if (e != OK)
        return e;
    t->removed = rows->affected;
    return t->removed < FEED_PAGE_MAX ? db_run(tx->db, tx->ctx, SQL_FEED_DELETE, &one, 1, NULL) : OK;
}

static enum err remove_old(struct db_tx *tx, struct feed_trimming *t)
{
    struct db_value oldest[] = {db_id(&t->workspace), db_number(t->keep_ms)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_FEED_OLDEST, oldest, 2, &rows);
    if (e != OK || rows->count == 0)
        return e;
    int64_t until = db_int(rows, rows->count - 1, FEED_OLDEST_ID);
    struct db_value args[] = {db_id(&t->workspace), db_number(until)};
    struct db_value mark[] = {db_number(until), db_id(&t->workspace)};
    e = db_run(tx->db, tx->ctx, SQL_FEED_REMOVE, args, 2, &rows);
    t->removed = e == OK ? rows->affected : 0;
    return e == OK ? db_run(tx->db, tx->ctx, SQL_FEED_REMOVED, mark, 2, NULL) : e;
}

static enum err feed_trim_work(struct db_tx *tx, void *arg)
{
    struct feed_trimming *t = arg;
    struct db_value one = db_id(&t->workspace);
    struct db_rows *rows;
    t->removed = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_FEED_LOCK, &one, 1, &rows);
    if (e != OK || rows->count == 0)
        return e;
    return db_int(rows, 0, FEED_LOCK_IS_UNWANTED) ? remove_unwanted(tx, t, db_int(rows, 0, FEED_LOCK_LAST_ID))
                                                  : remove_old(tx, t);
}

/* The first feed after *workspace that nobody wants, or whose oldest row is older than keep_ms; not set:
 * there is none among those that were looked at, and *workspace is the last of them, or not set after the
 * last feed. */
static enum err find_to_trim(struct db *db, void *ctx, id *workspace, int64_t keep_ms, id *found_r)
{
    static const char lowest[] = "00000000-0000-0000-0000-000000000000";
    struct db_value after = id_is_set(workspace) ? db_id(workspace) : db_text(lowest);
    struct db_rows *rows, *first;
    enum err e = db_run(db, ctx, SQL_FEED_NEXT_TO_TRIM, &after, 1, &rows);
    *found_r = (id){{0}};
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        id feed = db_get_id(rows, i, FEED_NEXT_TO_TRIM_WORKSPACE_ID);
        struct db_value args[] = {db_number(keep_ms), db_id(&feed)};
        bool is_unwanted = db_int(rows, i, FEED_NEXT_TO_TRIM_IS_UNWANTED) != 0;
        if (!is_unwanted)
            e = db_run(db, ctx, SQL_FEED_FIRST, args, 2, &first);
        if (e == OK && (is_unwanted || (first->count > 0 && db_int(first, 0, FEED_FIRST_IS_OLD)))) {
            *found_r = feed;
            return OK;
        }
    }
    if (e == OK)
        *workspace = rows->count == FEEDS_PAGE
                         ? db_get_id(rows, rows->count - 1, FEED_NEXT_TO_TRIM_WORKSPACE_ID)
                         : (id){{0}};
    return e;
}

enum err feed_trim(struct db *db, id *workspace, int64_t keep_ms, uint64_t *removed_r)
{
    void *scratch = talloc_new(NULL);
    struct feed_trimming t = {.keep_ms = keep_ms};
    *removed_r = 0;
    enum err e = find_to_trim(db, scratch, workspace, keep_ms, &t.workspace);
    if (e == OK && id_is_set(&t.workspace)) {
        e = db_transaction(db, feed_trim_work, &t);
        *removed_r = t.removed;
        /* a feed that fails is passed over, too: the later ones get their turn */
        if (e != OK || t.removed < FEED_PAGE_MAX)
            *workspace = t.workspace;
    }
    talloc_free(scratch);
    return e;
}
