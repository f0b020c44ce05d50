/* Copies rows of any table as they are, without a query of sql/queries for each: for moving a workspace to
 * another database of the same schema. Texts are the server's; binary columns are their bytes. */
#pragma once

#include "base/ids.h"
#include "base/span.h"
#include "mariadb/db.h"

/* A transaction in which every read sees the database as it is now, for `db_copy_out`. No statement but those
 * below may run until db_snapshot_end. */
enum err db_snapshot_begin(struct db *db) WARN_UNUSED;
void db_snapshot_end(struct db *db);

/* The columns of a table that can be written, in their order, as "`a`,`b`" on ctx; *n_r: their number. */
enum err db_copy_columns(struct db *db, void *ctx, const char *table, char **columns_r,
                         size_t *n_r) WARN_UNUSED;

/* Passes each row to `sink`, one at a time as the server sends them. A cell whose `at` is NULL is NULL. The
 * first error of the sink ends it and is returned. `where`: SQL with "?" for the workspace's id. */
typedef enum err db_copy_sink(void *arg, const struct span *cells, size_t n);
enum err db_copy_out(struct db *db, const char *table, const char *columns, const char *where,
                     const id *workspace, db_copy_sink *sink, void *arg) WARN_UNUSED;

/* What inserts and deletes below runs in transactions of its own, each of which begins with `begin(tx,
 * begin_arg)`, for a check under a lock; NULL: without one. Its error ends the work and is returned. */

/* Inserts rows, about a MiB in a transaction. With `keeps`, a row whose primary key is there already is left
 * as it is; otherwise it is an error. */
struct db_copy_in;
struct db_copy_in_settings {
    struct db *db;
    const char *table, *columns;
    bool keeps;
    db_work *begin;
    void *begin_arg;
};
struct db_copy_in *db_copy_in_new(void *ctx, const struct db_copy_in_settings *settings);
enum err db_copy_in_row(struct db_copy_in *c, const struct span *cells, size_t n) WARN_UNUSED;
enum err db_copy_in_flush(struct db_copy_in *c) WARN_UNUSED;
/* Deletes the rows that match, 10,000 in a transaction. */
struct db_copy_delete {
    struct db *db;
    const char *table, *where;
    const id *workspace;
    db_work *begin;
    void *begin_arg;
    /* to which the number of rows is added */
    int64_t n;
};
enum err db_copy_delete(struct db_copy_delete *d) WARN_UNUSED;
/* The number of rows that match. */
enum err db_copy_count(struct db *db, const char *table, const char *where, const id *workspace,
                       int64_t *n_r) WARN_UNUSED;
