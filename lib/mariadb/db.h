/* MariaDB: one connection with its prepared statements, used by one thread. A statement runs either by itself
 * or inside a transaction, which is repeated where that is right.
 *
 * All SQL is in sql/queries/ROOM/NAME.sql and runs as SQL_NAME, with its values bound, never pasted into the
 * text. A query may hold one group that is repeated: {{(?, ?)}} for rows to insert, [[?]] for a list after
 * IN. Rows to insert are bound as arrays, so that any number of them is one execution of one statement (a
 * bulk execute of MariaDB's protocol; several where they exceed 4 MiB). A list is prepared once a connection
 * for each of 1, 2, 4 … 64 values, longer lists run in parts, and the last part is padded with the last
 * value.
 *
 * Columns have names, made by scripts/embed from the query's text (mariadb/sql.h). NAME_COLUMN is a column of
 * the SELECT list: db_int(rows, r, STATES_LOCK_ATTEMPT). NAME_SET_COLUMN is a placeholder that fills a column
 * of an INSERT, and NAME_SET_COUNT their number: v[STATES_WRITE_SET_COST] = db_number(cost). If several
 * queries have one reader, comment lines in the SQL ("-- Columns as in OTHER.", "-- Columns begin as in
 * OTHER.", the same with "Values") make the build check that their columns agree, and the reader uses OTHER's
 * names. Values of WHERE and LIMIT have no names: they are bound in the order of the text, after an INSERT's
 * named values. The number of all values is checked when a statement is run. The number of a result's columns
 * is checked when the statement is prepared. A difference is ERR_INTERNAL.
 *
 * Sessions are READ COMMITTED with CLIENT_FOUND_ROWS and a lock wait of 2 s. The server ends a transaction
 * that sends no statement for 1 s. The connection is made at first use, within 2 s, and again after it was
 * lost, but never inside a transaction. Open it after fork only. Not thread-safe. */
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
    /* the longest wait for an answer of the server; 0: 3 s. The server ends a statement 0.2 s earlier. */
    unsigned timeout_s;
    /* how long an unknown outcome of COMMIT is looked up; 0: 2 s */
    unsigned settle_s;
    /* A transaction that has waited for a lock for 2 s is repeated, up to 5 runs in all. A daemon reports
     * ERR_RETRY instead: its wait holds up others. */
    bool repeats_lock_waits;
};

/* Always succeeds. The connection is opened lazily, so an unreachable server is reported by the first query.
 * The settings are copied. Freed with talloc_free, which closes the connection. */
struct db *db_new(void *ctx, const struct db_settings *settings);

/* The same for another connection with the settings of `db`. */
struct db *db_new_like(void *ctx, const struct db *db);

/* From now on the server ends a statement outside of transactions after `ms` (0: after the time of the
 * settings), which is then ERR_UNAVAILABLE and not logged. A change costs a round trip before the next
 * statement. */
void db_limit_reads(struct db *db, unsigned ms);
/* True if a statement was ended so since the last call of db_limit_reads. */
bool db_was_cut(const struct db *db);

/* --- values, bound by pointer: texts must live until the query has run --- */
struct db_value {
    enum { DB_NULL, DB_NUMBER, DB_TEXT } kind;
    int64_t number;
    const char *text;
    size_t size;
};

struct db_value db_number(int64_t number);
struct db_value db_text(const char *text); /* NULL becomes SQL's NULL */
struct db_value db_bytes(const void *bytes, size_t size);
struct db_value db_id(const id *i); /* NULL where the id is not set */
struct db_value db_null(void);
struct db_value db_number_or_null(int64_t number, bool is_set);

/* --- results: all rows at once, of the ctx that was passed to the query --- */
struct db_cell {
    /* of an integer column */
    int64_t number;
    /* of any other column, NUL-terminated; NULL where the cell is NULL */
    const char *text;
    size_t size;
    bool is_null;
};
struct db_rows {
    size_t count;
    size_t columns;
    /* rows matched or inserted, by a statement without a result */
    uint64_t affected;
    uint64_t insert_id;
    struct db_cell *cells;
};

const struct db_cell *db_cell(const struct db_rows *rows, size_t row, size_t column);
int64_t db_int(const struct db_rows *rows, size_t row, size_t column); /* 0 where NULL */
int64_t db_int_or(const struct db_rows *rows, size_t row, size_t column,
                  int64_t absent); /* `absent` where NULL */
const char *db_str(const struct db_rows *rows, size_t row, size_t column);
id db_get_id(const struct db_rows *rows, size_t row, size_t column); /* not set where NULL */

/* Runs a query once. rows_r may be NULL; the rows are of ctx. A query that only reads, outside of a
 * transaction, is sent again if the connection turns out to be dead, as it is after the server was restarted.
 * ERR_UNAVAILABLE: the server is unreachable, read-only or full, or the statement took too long. ERR_RETRY: a
 * deadlock or a lock wait; the transaction is rolled back and may be repeated. ERR_INTERNAL: the statement is
 * wrong (logged). */
enum err db_run(struct db *db, void *ctx, enum sql_id query, const struct db_value *args, size_t args_n,
                struct db_rows **rows_r) WARN_UNUSED;

/* Runs a query that has a repeated group. `head` fills the placeholders before the group. `each` fills the
 * group's placeholders, `each_n` values at a time, `count` times. The rows of all parts are joined. With
 * count 0 nothing is run, and there are no rows. Errors as of db_run. */
enum err db_run_each(struct db *db, void *ctx, enum sql_id query, const struct db_value *head, size_t head_n,
                     const struct db_value *each, size_t each_n, size_t count,
                     struct db_rows **rows_r) WARN_UNUSED;

/* --- transactions ---
 * `work` decides and writes under the locks that it takes. It may be run more than once, so it begins by
 * resetting what it reports. An error that it returns rolls back and is returned, except that ERR_RETRY of a
 * query repeats the work, up to 5 runs in all, and ERR_UNAVAILABLE of a lost connection repeats it once, on a
 * new connection.
 *
 * If COMMIT was sent and the answer was lost, or was any error but a read-only server's refusal, the outcome
 * is unknown. The old connection is killed (if it belongs to the server that is connected now) and `work`
 * runs again with settling = true. It then looks for its own ids under its locks. If it finds them, the first
 * run had committed, and it reports what it would have reported. Whatever it finds, and also if it refuses,
 * its transaction writes the rows that it has locked (write_locked): the server flushes its log before
 * anybody sees the result, and of two servers that replicate to each other, the one that comes second fails
 * and decides again. ERR_UNCERTAIN: not settled within settle_s. */
enum { DB_TX_MOVED_KINDS = 8 };
struct db_tx;
typedef enum err db_work(struct db_tx *tx, void *arg);
struct db_tx {
    struct db *db;
    bool settling;
    /* scratch memory, emptied before each run */
    void *ctx;
    /* If `work` sets it and succeeds: runs last before COMMIT. For rows that many transactions change, so
     * that their locks are held for as short a time as possible. Belongs to lib/blob/blob_rows.c. */
    db_work *before_commit;
    void *before_commit_arg;
    /* Writes the rows under whose locks `work` decides and which it has not written, so that servers that
     * replicate to each other find any two decisions of this kind to be in conflict. Runs before each COMMIT,
     * and before a refusal is reported while settling. Belongs to lib/account/account.c. */
    db_work *write_locked;
    void *write_locked_arg;
    /* Locked rows of this kind that are not written so far; 0 at COMMIT. */
    size_t unwritten;
    /* Rows of the ledger by kind, and their amount without its sign: counted in the tally after COMMIT.
     * Belongs to lib/account/account.c. */
    struct {
        uint64_t n;
        int64_t amount;
    } moved[DB_TX_MOVED_KINDS];
};
enum err db_transaction(struct db *db, db_work *work, void *arg) WARN_UNUSED;

/* Begins with settling = true, for a caller that knows that an earlier run of this work, on another
 * connection, may have committed (the leader of a batch died). */
enum err db_transaction_settle(struct db *db, uint64_t old_connection, db_work *work, void *arg) WARN_UNUSED;

/* timeout_s and settle_s in milliseconds */
int64_t db_timeout_ms(const struct db *db);
int64_t db_settle_ms(const struct db *db);

/* Names this connection: the server's number for it, and which server that is. 0 while there is none. Valid
 * on this host only. */
uint64_t db_connection_id(const struct db *db);
/* Keeps *where equal to the connection's id, now and after each reconnect, so that another process can settle
 * what this one leaves behind. NULL ends it. */
void db_publish_connection_id(struct db *db, _Atomic uint64_t *where);
/* Stores into *where when the last request to the server was sent (clock_boot_ms), now and from then on, so
 * that another process can tell a slow user of the connection from one that hangs. NULL ends it. */
void db_publish_progress(struct db *db, _Atomic int64_t *where);
/* Checks that the server answers; connects if necessary, once more if the connection turned out to be dead.
 * ERR_UNAVAILABLE: the server is unreachable. */
enum err db_ping(struct db *db) WARN_UNUSED;
/* Requests sent to the server since db_new: for the access log and its tests. */
uint64_t db_round_trips(const struct db *db);
/* The last error that was the fault of a statement, as "ERRNO: MESSAGE"; "": none so far. For the log. */
const char *db_statement_error(const struct db *db);

/* How often a connection was lost or could not be made, and how often a lost COMMIT had to be settled, since
 * the last call. */
struct db_counters {
    unsigned lost, settled;
};
struct db_counters db_take_counters(struct db *db);

/* Runs a multi-statement script without parameters, `;`-separated (migrations, grants). Only the database's
 * administrator has the rights. */
enum err db_script(struct db *db, const char *text) WARN_UNUSED;
