/* What the files of lib/mariadb share: the connection, its statements, and how errors are classified. */
#pragma once

#include <mysql.h>

#include "mariadb/db.h"

/* A list after IN is prepared for 1, 2, 4 … 64 values. */
enum { STATEMENT_SIZES = 7, REPEAT_MAX = 1 << (STATEMENT_SIZES - 1) };

/* Texts up to this size are fetched with the row; ids fit, and most names. Longer ones take a call each. */
enum { TEXT_SHORT = 64 };

/* Defaults of db_settings. */
enum { STATEMENT_TIMEOUT_S = 3, SETTLE_S = 2 };

enum db_fault {
    FAULT_NONE,
    /* deadlock or lock wait: the transaction was rolled back and may be repeated */
    FAULT_RETRY,
    /* the connection is lost, or could not be made */
    FAULT_CONNECTION,
    /* the server cannot execute statements of this sort now (read-only, full, statement time used up); the
     * connection is good and nothing was done */
    FAULT_SERVER,
    /* the statement is wrong */
    FAULT_STATEMENT,
};

/* Where the library writes one column of the row that it fetches. */
struct db_column {
    bool is_integer;
    my_bool is_null, is_truncated;
    int64_t number;
    unsigned long size;
    char text[TEXT_SHORT];
};

struct db_statement {
    MYSQL_STMT *stmt;
    unsigned columns_n;
    struct db_column *columns;
    MYSQL_BIND *binds;
    /* STMT_ATTR_ARRAY_SIZE as last set: rows of one bulk execution, 0 for a plain one */
    unsigned array;
};

struct db {
    MYSQL *conn;
    struct db_settings settings;
    struct db_statement statements[SQL_COUNT][STATEMENT_SIZES];
    /* of the last call */
    enum db_fault fault;
    bool in_transaction;
    /* the session is at autocommit=0: a transaction begins with its first statement */
    bool autocommit_off;
    /* the connection's last use was a transaction */
    bool was_transaction;
    /* the last FAULT_RETRY was a lock wait that lasted the whole 2 s */
    bool lock_timed_out;
    /* CLOCK_BOOTTIME of the last log line about FAULT_SERVER */
    int64_t server_fault_logged_ms;
    /* which server, and when it started: the tag of db_connection_id; 12 bits each */
    uint16_t server_hash, server_start_s;
    /* db_limit_reads: what the caller wants, and what the session has; 0: the limit of the settings */
    unsigned reads_wanted_ms, reads_ms;
    /* a statement ended because of that limit */
    bool was_cut;
    uint64_t round_trips;
    /* the last error that was the statement's own: "ERRNO: MESSAGE"; empty: none so far */
    char statement_error[256];
    /* kept equal to the connection's id; may be NULL */
    _Atomic uint64_t *published_id;
    /* set at each round trip; may be NULL */
    _Atomic int64_t *published_progress_ms;
    struct db_counters counters;
};

/* --- connection.c --- */

/* Before each request to the server. */
void db_count_round_trip(struct db *db);

/* Connects if there is no connection. Like the functions below, it returns what it leaves in db->fault. */
enum db_fault db_connect(struct db *db);
/* Classifies an error of the server or the client library and logs it (but for FAULT_RETRY, which is
 * ordinary; FAULT_SERVER once a second). A lost connection is closed. */
enum db_fault db_record_error(struct db *db, unsigned number, const char *what, const char *message);
/* The same for an error of a prepared statement. */
enum db_fault db_record_statement_error(struct db *db, MYSQL_STMT *stmt, const char *what);
/* Classifies an error of COMMIT. An error after which the transaction may have been committed closes the
 * connection and counts as FAULT_CONNECTION. */
enum db_fault db_record_commit_error(struct db *db);
/* True if `connection`, a db_connection_id, was given by the server that db is connected to now. */
bool db_is_same_server(const struct db *db, uint64_t connection);
/* The connection's number at its server, for KILL. */
uint64_t db_connection_number(uint64_t connection);
/* Runs a statement that has neither values nor a result. */
enum db_fault db_command(struct db *db, const char *text);
/* Restores autocommit before a statement that runs outside a transaction. Does nothing inside of one. */
enum db_fault db_restore_autocommit(struct db *db);
/* Gives the session the limit of statements that the caller wants (db_limit_reads); inside a transaction, and
 * at its beginning, that of the settings. */
enum db_fault db_apply_limit(struct db *db, bool in_transaction);
enum err db_err(enum db_fault fault);

/* --- statement.c --- */

/* The prepared statement of a query, with its repeated group written 2^size_log2 times. NULL: see db->fault.
 */
struct db_statement *db_prepare(struct db *db, enum sql_id query, unsigned size_log2);
/* Closes all prepared statements: they end with their connection. */
void db_close_statements(struct db *db);
