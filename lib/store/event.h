/* Reads events: a page of one run's events, and the last event number of many runs. lib/run/run_tx.h and
 * lib/run/accept.h write them. Results are allocated on ctx. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

struct event_row {
    int seq;
    enum event_type type;
    int64_t at_ms;
    /* JSON object, or NULL. */
    const char *data;
};

struct event_page {
    /* Of the run, when the page was read. */
    enum run_state state;
    /* Number of the run's newest event; the page may end earlier. */
    int last_seq;
    struct event_row *rows;
    size_t count;
};

/* At most 100 events (the LIMIT of event_page.sql) after number `after`, ascending. ERR_NOT_FOUND: the
 * workspace has no such run. */
enum err events_read(struct db *db, void *ctx, const id *workspace, const id *execution, int after,
                     struct event_page *page_r) WARN_UNUSED;

/* The data of the run's newest event of a type; NULL: it has none. Reads all newer events. */
enum err event_newest_of_type(struct db *db, void *ctx, const id *execution, enum event_type type,
                              const char **data_r) WARN_UNUSED;

struct run_progress {
    id execution_id, workspace_id;
    enum run_state state;
    int last_seq;
};
/* Of one run. ERR_NOT_FOUND: the workspace has no such run. */
enum err execution_progress(struct db *db, void *ctx, const id *workspace, const id *execution,
                            struct run_progress *progress_r) WARN_UNUSED;
/* Of those of `n` runs that exist, in any order, repetitions possible. Takes no workspace: the caller must
 * have checked access to the ids, or compare workspace_id. */
enum err execution_progress_list(struct db *db, void *ctx, const id *executions, size_t n,
                                 struct run_progress **list_r, size_t *count_r) WARN_UNUSED;
