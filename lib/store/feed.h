/* The workspace-wide feed: the ends of all runs of a workspace, numbered by ids that only grow.
 *
 * The transaction that ends a run inserts a row without an id (run_tx), if the workspace has a feed: the
 * first stream makes it. feed_number gives ids to the rows that are visible, under the lock of the feed's
 * row. These transactions follow one another, and each sees all that the one before has committed. Therefore
 * whoever reads an id has missed none below it, however long the transaction of a run took to become visible:
 * such a row is numbered later, and higher. An id is given once, so that a reader who continues after an id
 * gets each end exactly once, from any host.
 *
 * A feed that nobody has read for its time of keeping is deleted. A new one begins with higher ids. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

enum {
    /* rows of a page */
    FEED_PAGE_MAX = 500,
    /* rows that one transaction numbers, as in feed_new.sql */
    FEED_NUMBER_MAX = 1000
};

struct feed_state {
    /* The highest id given, and the highest one that was removed: whoever continues from a lower one has
     * missed something. */
    int64_t last_id, removed_id;
};
struct feed_row {
    int64_t id;
    struct {
        id execution, responder, parent;
    } ids;
    enum responder_kind kind;
    enum run_state state;
    enum failure_reason reason;
    int seq;
    int64_t ended_ms;
    /* a JSON array; NULL: purged */
    const char *tags;
};

/* Makes the feed if the workspace has none, and keeps it for at least half of keep_ms. Covers every run that
 * is accepted after the return. ERR_NOT_FOUND: no such workspace. */
enum err feed_open(struct db *db, void *ctx, const id *workspace, int64_t keep_ms,
                   struct feed_state *state_r) WARN_UNUSED;
/* Gives ids to at most FEED_NUMBER_MAX rows that have none. *more_r: so many were found, and more may be
 * left. */
enum err feed_number(struct db *db, void *ctx, const id *workspace, bool *more_r) WARN_UNUSED;
/* At most FEED_PAGE_MAX rows with after < id <= until, ascending, on ctx. */
enum err feed_read(struct db *db, void *ctx, const id *workspace, int64_t after, int64_t until,
                   struct feed_row **rows_r, size_t *count_r) WARN_UNUSED;
/* Removes what is older than keep_ms from one feed after *workspace, which is advanced, also
 * past a feed that fails; unset: from the first, and after the last. *removed_r: rows. */
enum err feed_trim(struct db *db, id *workspace, int64_t keep_ms, uint64_t *removed_r) WARN_UNUSED;
