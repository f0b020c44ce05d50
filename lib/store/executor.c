#include "store/executor.h"

#include <talloc.h>

#include "base/clock.h"
#include "run/states.h"

enum err executor_register(struct db *db, const char *host, int pid, int64_t lease_ms, uint64_t *executor_r)
{
    void *scratch = talloc_new(NULL);
    struct db_value args[] = {
        [EXECUTOR_INSERT_SET_HOST] = db_text(host),
        [EXECUTOR_INSERT_SET_PID] = db_number(pid),
        [EXECUTOR_INSERT_SET_STARTED_MS] = db_number(clock_wall_ms()),
        [EXECUTOR_INSERT_SET_LEASE_MS] = db_number(lease_ms),
    };
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_EXECUTOR_INSERT, args, EXECUTOR_INSERT_SET_COUNT, &rows);
    if (e == OK)
        *executor_r = rows->insert_id;
    talloc_free(scratch);
    return e;
}

enum err executor_unregister(struct db *db, uint64_t executor)
{
    struct db_value value = db_number((int64_t)executor);
    return db_run(db, NULL, SQL_EXECUTOR_DELETE, &value, 1, NULL);
}

/* Runs a statement that changes one row. ERR_CONFLICT: it changed none. */
static enum err update_one_row(struct db *db, enum sql_id query, const struct db_value *args, size_t n)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, query, args, n, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_CONFLICT;
    talloc_free(scratch);
    return e;
}

enum err executor_heartbeat(struct db *db, uint64_t executor, const struct executor_load *load)
{
    struct db_value values[] = {db_number(load->http_in_flight), db_number(load->http_waiting),
                                db_number(load->http_max), db_number(load->commands),
                                db_number((int64_t)executor)};
    return update_one_row(db, SQL_EXECUTOR_HEARTBEAT, values, sizeof values / sizeof values[0]);
}

enum err executor_any_alive(struct db *db, bool *alive_r)
{
    void *scratch = talloc_new(NULL);
    struct db_rows *rows;
    enum err e = db_run(db, scratch, SQL_EXECUTOR_ANY_ALIVE, NULL, 0, &rows);
    *alive_r = e == OK && db_int(rows, 0, EXECUTOR_ANY_ALIVE_ANY_ALIVE) != 0;
    talloc_free(scratch);
    return e;
}

enum err executor_mark_lost(struct db *db, uint64_t executor, int64_t beat)
{
    struct db_value args[] = {db_number((int64_t)executor), db_number(beat)};
    return update_one_row(db, SQL_EXECUTOR_MARK_LOST, args, 2);
}

enum err executor_runs(struct db *db, void *ctx, uint64_t executor, struct executor_run **runs_r, size_t *n_r)
{
    struct db_value args[] = {db_number(STATE_RUNNING), db_number((int64_t)executor), db_number(INT64_MAX)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTOR_RUNS, args, 3, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *runs_r = talloc_array(ctx, struct executor_run, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        (*runs_r)[r] = (struct executor_run){db_get_id(rows, r, EXECUTOR_RUNS_ID),
                                             (int)db_int(rows, r, EXECUTOR_RUNS_ATTEMPT)};
    talloc_free(rows);
    return OK;
}

enum err executor_peers(struct db *db, void *ctx, struct executor_peer **peers_r, size_t *n_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_EXECUTOR_PEERS, NULL, 0, &rows);
    if (e != OK)
        return e;
    *n_r = rows->count;
    *peers_r = talloc_array(ctx, struct executor_peer, rows->count + 1);
    for (size_t r = 0; r < rows->count; r++)
        (*peers_r)[r] = (struct executor_peer){(uint64_t)db_int(rows, r, EXECUTOR_PEERS_ID),
                                               db_int(rows, r, EXECUTOR_PEERS_BEAT),
                                               db_int(rows, r, EXECUTOR_PEERS_LEASE_MS)};
    talloc_free(rows);
    return OK;
}
