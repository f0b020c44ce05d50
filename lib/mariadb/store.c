#include "mariadb/store.h"

#include "base/clock.h"

enum {
    QUICK_MS = 500
}; /* a connection that was lost before fails at once; one that times out is not tried twice */

enum err store_read(struct db *db, void *ctx, enum sql_id query, const struct db_value *args, size_t args_n,
                    struct db_rows **rows_r)
{
    return store_read_each(db, ctx, query, args, args_n, NULL, 0, 1, rows_r);
}

enum err store_read_each(struct db *db, void *ctx, enum sql_id query, const struct db_value *head,
                         size_t head_n, const struct db_value *each, size_t each_n, size_t count,
                         struct db_rows **rows_r)
{
    bool was_connected = db_connection_id(db) != 0;
    int64_t began_ms = clock_boot_ms();
    enum err e = db_run_each(db, ctx, query, head, head_n, each, each_n, count, rows_r);
    if (e == ERR_BUSY && was_connected && clock_boot_ms() - began_ms < QUICK_MS)
        e = db_run_each(db, ctx, query, head, head_n, each, each_n, count, rows_r);
    return e;
}

enum err store_ping(struct db *db)
{
    enum err e = db_ping(db);
    return e == ERR_BUSY ? db_ping(db) : e;
}
