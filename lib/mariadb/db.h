/* MariaDB: one connection of one thread, its prepared statements, and the two ways to use it: a statement by
 * itself, or a transaction that is repeated where repeating is right.
 *
 * All SQL is in sql/queries/NAME.sql, run as SQL_NAME with values bound, never pasted. A query may hold one
 * group that is repeated: {{(?, ?)}} for rows to insert, [[?]] for a list after IN. Rows are bound as an
 * array: any number of them is one execution of one statement (a bulk execute of MariaDB's protocol). Lists
 * are prepared once a connection for 1, 2, 4 … 64 values, and padded with their last.
 *
 * Columns have names, made by scripts/embed from the query's text (mariadb/sql.h). NAME_COLUMN is a column of
 * the SELECT list: db_int(rows, r, STATES_LOCK_ATTEMPT). NAME_SET_COLUMN is a placeholder that fills a column
 * of an INSERT, and NAME_SET_COUNT their number: v[STATES_WRITE_SET_COST] = db_number(cost). Where several
 * queries have one reader, comment lines in the SQL ("-- Columns as in OTHER.", "-- Columns begin as in
 * OTHER.", the same with "Values") make the build check that their columns agree, and the reader uses OTHER's
 * names. Values of WHERE and LIMIT have no names: they stand in the order of the text, after an INSERT's
 * named ones, and the number of all values is checked when a statement is run. The number of a result's
 * columns is checked when the statement is prepared; a difference is ERR_INTERNAL.
 *
 * Sessions are READ COMMITTED with CLIENT_FOUND_ROWS and a lock wait of 2 s; a transaction that idles for a
 * second is ended by the server. The connection is made at first
 * use and again when it was lost, never silently inside a transaction. Open after fork only. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"
#include "mariadb/sql.h"

struct db;

struct db_settings {
    const char *socket;
    const char *name;
    const char *user;
    const char *password;
    unsigned timeout_s; /* of a statement; 0: 3 */
};

/* Never fails: a server that is away is told by the first use. Freed with talloc_free, which closes. */
struct db *db_new(void *ctx, const struct db_settings *settings);

/* --- values --- */
struct db_value {
    enum { DB_NULL, DB_NUMBER, DB_TEXT } kind;
    int64_t number;
    const char *text;
    size_t size;
};

struct db_value db_number(int64_t number);
struct db_value db_text(const char *text); /* NULL makes SQL's NULL */
struct db_value db_bytes(const void *bytes, size_t size);
struct db_value db_id(const id *i); /* NULL where the id is not set */
struct db_value db_null(void);
struct db_value db_number_or_null(int64_t number, bool is_set);

/* --- results: all rows, of the ctx they were asked for in --- */
struct db_cell {
    int64_t number;   /* of an integer column */
    const char *text; /* of any other, NUL-terminated; NULL where the cell is NULL */
    size_t size;
    bool is_null;
};
struct db_rows {
    size_t count;
    size_t columns;
    uint64_t affected; /* rows matched or inserted */
    uint64_t insert_id;
    struct db_cell *cells;
};

const struct db_cell *db_cell(const struct db_rows *rows, size_t row, size_t column);
int64_t db_int(const struct db_rows *rows, size_t row, size_t column); /* 0 where NULL */
const char *db_str(const struct db_rows *rows, size_t row, size_t column);
id db_get_id(const struct db_rows *rows, size_t row, size_t column); /* not set where NULL */

/* Runs a query once. rows_r may be NULL; the rows are of ctx. ERR_BUSY: the server is away, or the
 * transaction was rolled back and may be repeated; ERR_INTERNAL: the statement is wrong (logged). */
enum err db_run(struct db *db, void *ctx, enum sql_id query, const struct db_value *args, size_t args_n,
                struct db_rows **rows_r) WARN_UNUSED;

/* Runs a query that has a repeated group: `head` fills the placeholders before the group, `each` the group's,
 * `each_n` values at a time, `count` times. Rows of all parts are joined. count 0 does nothing. */
enum err db_run_each(struct db *db, void *ctx, enum sql_id query, const struct db_value *head, size_t head_n,
                     const struct db_value *each, size_t each_n, size_t count,
                     struct db_rows **rows_r) WARN_UNUSED;

/* --- transactions ---
 * `work` makes its decisions and writes under the locks it takes; it may be run more than once, so it begins
 * by resetting what it reports. An error it returns rolls back and is returned (ERR_BUSY of a deadlock
 * repeats it, up to 5 times). Where the answer to COMMIT was lost, the old connection is killed and work runs
 * again with settling = true: it then looks for its own ids under its locks; finding them means that it had
 * committed: it changes `touched` (so that the log is flushed before anybody is told) and reports as it would
 * have. Not settled within 2 s: ERR_UNCERTAIN. */
struct db_tx {
    struct db *db;
    bool settling;
    void *ctx; /* scratch, emptied before each run */
};
typedef enum err db_work(struct db_tx *tx, void *arg);
enum err db_transaction(struct db *db, db_work *work, void *arg) WARN_UNUSED;

/* The same, told by the caller that an earlier, unfinished run of this work may have committed (a leader
 * died). */
enum err db_transaction_settle(struct db *db, uint64_t old_connection, db_work *work, void *arg) WARN_UNUSED;

/* The server's id of this connection, 0 while there is none. */
uint64_t db_connection_id(const struct db *db);
/* Keeps *where equal to the id of the connection in use, from now and through every reconnect: so that
 * somebody else can settle what this process leaves behind. NULL ends it. */
void db_publish_connection_id(struct db *db, _Atomic uint64_t *where);
/* Makes the connection now. ERR_BUSY where the server is away. */
enum err db_ping(struct db *db) WARN_UNUSED;
/* Statements sent since the connection was new to this struct: for the access log and its tests. */
uint64_t db_round_trips(const struct db *db);

/* How often the connection was lost or could not be made, and how often a lost COMMIT was settled, since the
 * last call of this. */
struct db_counters {
    unsigned lost, settled;
};
struct db_counters db_take_counters(struct db *db);

/* Runs text that is no query of ours to ask values for: migrations and grants, `;`-separated. Administrators
 * only. */
enum err db_script(struct db *db, const char *text) WARN_UNUSED;
