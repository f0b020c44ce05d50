/* The connection: settings of the session, errors, and text commands. */
#include <errmsg.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "mariadb/db_private.h"

enum {
    CONNECT_TIMEOUT_S = 2,
    /* The server ends a statement so long before the client would give it up, so that no statement goes on
     * for a client that is gone. */
    SERVER_GIVES_UP_MS = 200,
    LOG_INTERVAL_MS = 1000,
    MESSAGE_MAX = 512,
    /* bits of db_connection_id: the connection's number at the server, above it the server's tag */
    NUMBER_BITS = 40,
    TAG_SECONDS_BITS = 12,
};

/* The server's error numbers (mysqld_error.h). */
enum {
    E_RECORD_CHANGED = 1020,
    E_TOO_MANY_CONNECTIONS = 1040,
    E_UNKNOWN_COMMAND = 1047,
    E_SHUTDOWN = 1053,
    E_LOCK_TIMEOUT = 1205,
    E_DEADLOCK = 1213,
    E_QUERY_KILLED = 1317,
    E_KILLED = 1927,
    /* the server cannot do it now, whatever the statement */
    E_DISK_FULL = 1021,
    E_WRITE_FAILED = 1026,
    E_ENGINE = 1030,
    E_OUT_OF_MEMORY = 1037,
    E_OUT_OF_SORT_MEMORY = 1038,
    E_OUT_OF_RESOURCES = 1041,
    E_TABLE_FULL = 1114,
    E_TOO_MANY_USER_CONNECTIONS = 1203,
    E_LOCK_TABLE_FULL = 1206,
    E_READ_LOCK = 1223,
    E_USER_LIMIT = 1226,
    E_READ_ONLY = 1290,
    E_TOO_MANY_STATEMENTS = 1461,
    E_TOO_MANY_TRANSACTIONS = 1637,
    E_READ_ONLY_MODE = 1836,
    E_STATEMENT_TIMEOUT = 1969,
    /* the client library's own numbers (errmsg.h), all of them about the connection */
    E_CLIENT_FIRST = 2000,
    E_CLIENT_LAST = 2999,
};

/* --- errors --- */

/* What is not listed is the statement's own fault (1062, 1406, 1366, 4025 ...): repeating it for ever would
 * hold up what other workspaces have in the same batch. */
static enum db_fault classify_error(unsigned number)
{
    switch (number) {
    case 0:
        return FAULT_NONE;
    case E_LOCK_TIMEOUT:
    case E_DEADLOCK:
    case E_RECORD_CHANGED:
        return FAULT_RETRY;
    case E_UNKNOWN_COMMAND:
    case E_KILLED:
    case E_SHUTDOWN:
    case E_QUERY_KILLED:
    case E_TOO_MANY_CONNECTIONS:
        return FAULT_CONNECTION;
    case E_DISK_FULL:
    case E_WRITE_FAILED:
    case E_ENGINE:
    case E_OUT_OF_MEMORY:
    case E_OUT_OF_SORT_MEMORY:
    case E_OUT_OF_RESOURCES:
    case E_TABLE_FULL:
    case E_TOO_MANY_USER_CONNECTIONS:
    case E_LOCK_TABLE_FULL:
    case E_READ_LOCK:
    case E_USER_LIMIT:
    case E_READ_ONLY:
    case E_TOO_MANY_STATEMENTS:
    case E_TOO_MANY_TRANSACTIONS:
    case E_READ_ONLY_MODE:
    case E_STATEMENT_TIMEOUT:
        return FAULT_SERVER;
    default:
        return number >= E_CLIENT_FIRST && number <= E_CLIENT_LAST ? FAULT_CONNECTION : FAULT_STATEMENT;
    }
}

enum err db_err(enum db_fault fault)
{
    if (fault == FAULT_NONE)
        return OK;
    if (fault == FAULT_STATEMENT)
        return ERR_INTERNAL;
    return fault == FAULT_RETRY ? ERR_RETRY : ERR_UNAVAILABLE;
}

/* in_transaction stays as it is: the remaining statements of a transaction must not run outside of it. */
static void db_disconnect(struct db *db)
{
    db_close_statements(db);
    if (db->conn)
        mysql_close(db->conn);
    db->conn = NULL;
}

static void log_server_fault(struct db *db, unsigned number, const char *what, const char *message)
{
    int64_t now_ms = clock_boot_ms();
    if (now_ms - db->server_fault_logged_ms < LOG_INTERVAL_MS && db->server_fault_logged_ms > 0)
        return;
    db->server_fault_logged_ms = now_ms;
    log_warn("db.statement_unavailable", "what=%s errno=%u message=\"%s\"", what, number, message);
}

enum db_fault db_record_error(struct db *db, unsigned number, const char *what, const char *message)
{
    db->fault = classify_error(number);
    db->lock_timed_out = number == E_LOCK_TIMEOUT;
    bool is_cut = number == E_STATEMENT_TIMEOUT && db->reads_ms > 0;
    db->was_cut = db->was_cut || is_cut;
    if (db->fault == FAULT_SERVER && !is_cut)
        log_server_fault(db, number, what, message);
    if (db->fault == FAULT_STATEMENT)
        snprintf(db->statement_error, sizeof db->statement_error, "%u: %s", number, message);
    if (db->fault == FAULT_STATEMENT)
        log_error("db.statement_failed", "what=%s errno=%u message=\"%s\"", what, number, message);
    if (db->fault == FAULT_CONNECTION) {
        log_warn("db.connection_lost", "what=%s errno=%u message=\"%s\"", what, number, message);
        db->counters.lost++;
        db_disconnect(db);
    }
    return db->fault;
}

/* A read-only server refuses COMMIT and rolls back. Any other error may be the answer to a transaction that
 * is committed: Galera answers 1180, and at times 1213, for one that the other nodes have received. The
 * connection is closed, so that the outcome is looked up on a new one. */
enum db_fault db_record_commit_error(struct db *db)
{
    unsigned number = mysql_errno(db->conn);
    char message[MESSAGE_MAX];
    snprintf(message, sizeof message, "%s", mysql_error(db->conn));
    if (number == E_READ_ONLY || number == E_READ_ONLY_MODE)
        return db_record_error(db, number, "COMMIT", message);
    log_warn("db.commit_unanswered", "errno=%u message=\"%s\"", number, message);
    db->counters.lost++;
    db_disconnect(db);
    return db->fault = FAULT_CONNECTION;
}

/* A bulk statement whose transaction another node has aborted fails without an error number. */
enum db_fault db_record_statement_error(struct db *db, MYSQL_STMT *stmt, const char *what)
{
    unsigned number = mysql_stmt_errno(stmt);
    char message[MESSAGE_MAX];
    snprintf(message, sizeof message, "%s", mysql_stmt_error(stmt));
    return number ? db_record_error(db, number, what, message)
                  : db_record_error(db, CR_UNKNOWN_ERROR, what, "the server gave no error number");
}

/* --- the connection --- */

static int db_destroy(struct db *db)
{
    db_disconnect(db);
    return 0;
}

struct db *db_new(void *ctx, const struct db_settings *settings)
{
    struct db *db = talloc_zero(ctx, struct db);
    db->settings = (struct db_settings){
        .socket = talloc_strdup(db, settings->socket),
        .name = talloc_strdup(db, settings->name),
        .user = talloc_strdup(db, settings->user),
        .password = talloc_strdup(db, settings->password),
        .timeout_s = settings->timeout_s ? settings->timeout_s : STATEMENT_TIMEOUT_S,
        .settle_s = settings->settle_s ? settings->settle_s : SETTLE_S,
        .repeats_lock_waits = settings->repeats_lock_waits,
    };
    talloc_set_destructor(db, db_destroy);
    return db;
}

struct db *db_new_like(void *ctx, const struct db *db)
{
    return db_new(ctx, &db->settings);
}

static int64_t statement_limit_ms(const struct db *db)
{
    return (int64_t)db->settings.timeout_s * 1000 - SERVER_GIVES_UP_MS;
}

/* idle_transaction_timeout: a process that was stopped (SIGSTOP) or lost its machine must not keep an account
 * locked, so the server ends a transaction that sends no statement for a second. */
static void set_options(const struct db *db, MYSQL *conn)
{
    unsigned connect_timeout_s = CONNECT_TIMEOUT_S;
    my_bool no = 0;
    mysql_options(conn, MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout_s);
    mysql_options(conn, MYSQL_OPT_READ_TIMEOUT, &db->settings.timeout_s);
    mysql_options(conn, MYSQL_OPT_WRITE_TIMEOUT, &db->settings.timeout_s);
    mysql_options(conn, MYSQL_OPT_RECONNECT, &no);
    mysql_options(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    char session[512];
    int64_t limit_ms = statement_limit_ms(db);
    snprintf(session, sizeof session,
             "SET SESSION tx_isolation='READ-COMMITTED', innodb_lock_wait_timeout=2, wsrep_sync_wait=1, "
             "idle_transaction_timeout=1, max_statement_time=%" PRId64 ".%03" PRId64 ", sql_mode="
             "'STRICT_ALL_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
             "time_zone='+00:00'",
             limit_ms / 1000, limit_ms % 1000);
    mysql_options(conn, MYSQL_INIT_COMMAND, session);
}

/* FNV-1a of the variables that tell one server from another. */
static bool read_server_hash(MYSQL *conn, uint32_t *hash_r)
{
    if (mysql_query(conn, "SHOW GLOBAL VARIABLES WHERE Variable_name IN "
                          "('server_uid', 'hostname', 'port', 'datadir', 'wsrep_node_address')") != 0)
        return false;
    MYSQL_RES *rows = mysql_store_result(conn);
    if (!rows)
        return false;
    uint32_t hash = 2166136261U;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));) {
        for (const char *c = row[1] ? row[1] : ""; *c; c++)
            hash = (hash ^ (uint8_t)*c) * 16777619U;
    }
    mysql_free_result(rows);
    *hash_r = hash;
    return true;
}

/* A connection's number means nothing at another server, or at the same one after a restart: both give it to
 * a stranger. The tag names the server and the second of its start (in CLOCK_BOOTTIME, so it holds for the
 * processes of one host). */
static bool read_server_tag(struct db *db, MYSQL *conn)
{
    uint32_t hash;
    unsigned long long uptime_s;
    const char *status = mysql_stat(conn);
    if (!status || sscanf(status, "Uptime: %llu", &uptime_s) != 1 || !read_server_hash(conn, &hash))
        return false;
    int64_t start_s = clock_boot_ms() / 1000 - (int64_t)uptime_s;
    db->server_hash = (uint16_t)((hash ^ hash >> TAG_SECONDS_BITS) & ((1U << TAG_SECONDS_BITS) - 1));
    db->server_start_s = (uint16_t)(start_s & ((1 << TAG_SECONDS_BITS) - 1));
    return true;
}

/* The first read after connecting waits until this node has applied what the others committed before
 * (wsrep_sync_wait, which a server without Galera accepts and ignores). Later statements do not wait: they go
 * to the same node. */
static bool pass_barrier(MYSQL *conn)
{
    if (mysql_query(conn, "SELECT 1") != 0)
        return false;
    mysql_free_result(mysql_store_result(conn));
    return mysql_query(conn, "SET SESSION wsrep_sync_wait=0") == 0;
}

bool db_is_same_server(const struct db *db, uint64_t connection)
{
    uint64_t tag = connection >> NUMBER_BITS;
    unsigned mask = (1U << TAG_SECONDS_BITS) - 1;
    unsigned apart_s =
        ((unsigned)tag - db->server_start_s) & mask; /* 1: the two seconds were rounded apart */
    return tag >> TAG_SECONDS_BITS == db->server_hash && (apart_s <= 1 || apart_s == mask);
}

uint64_t db_connection_number(uint64_t connection)
{
    return connection & ((UINT64_C(1) << NUMBER_BITS) - 1);
}

enum db_fault db_connect(struct db *db)
{
    if (db->conn)
        return db->fault = FAULT_NONE;
    MYSQL *conn = mysql_init(NULL);
    if (!conn)
        return db->fault = FAULT_CONNECTION;
    set_options(db, conn);
    if (!mysql_real_connect(conn, NULL, db->settings.user, db->settings.password, db->settings.name, 0,
                            db->settings.socket, CLIENT_FOUND_ROWS) ||
        !pass_barrier(conn) || !read_server_tag(db, conn)) {
        log_warn("db.unreachable", "errno=%u message=\"%s\"", mysql_errno(conn), mysql_error(conn));
        mysql_close(conn);
        db->counters.lost++;
        return db->fault = FAULT_CONNECTION;
    }
    db->conn = conn;
    db->autocommit_off = false;
    db->was_transaction = false;
    db->reads_ms = 0;
    if (db->published_id)
        *db->published_id = db_connection_id(db);
    return db->fault = FAULT_NONE;
}

enum err db_ping(struct db *db)
{
    bool was_connected = db->conn != NULL;
    if (db_connect(db) == FAULT_NONE && mysql_ping(db->conn) != 0)
        db_record_error(db, mysql_errno(db->conn), "ping", mysql_error(db->conn));
    if (db->fault == FAULT_CONNECTION && was_connected)
        db_connect(db);
    return db_err(db->fault);
}

uint64_t db_connection_id(const struct db *db)
{
    if (!db->conn)
        return 0;
    uint64_t tag = (uint64_t)db->server_hash << TAG_SECONDS_BITS | db->server_start_s;
    return tag << NUMBER_BITS | db_connection_number(mysql_thread_id(db->conn));
}

void db_publish_connection_id(struct db *db, _Atomic uint64_t *where)
{
    db->published_id = where;
    if (where)
        *where = db_connection_id(db);
}

void db_publish_progress(struct db *db, _Atomic int64_t *where)
{
    db->published_progress_ms = where;
    if (where)
        *where = clock_boot_ms();
}

void db_count_round_trip(struct db *db)
{
    db->round_trips++;
    if (db->published_progress_ms)
        *db->published_progress_ms = clock_boot_ms();
}

int64_t db_timeout_ms(const struct db *db)
{
    return (int64_t)db->settings.timeout_s * 1000;
}

int64_t db_settle_ms(const struct db *db)
{
    return (int64_t)db->settings.settle_s * 1000;
}

uint64_t db_round_trips(const struct db *db)
{
    return db->round_trips;
}

const char *db_statement_error(const struct db *db)
{
    return db->statement_error;
}

struct db_counters db_take_counters(struct db *db)
{
    struct db_counters counters = db->counters;
    db->counters = (struct db_counters){0};
    return counters;
}

/* --- text commands --- */

enum db_fault db_command(struct db *db, const char *text)
{
    db_count_round_trip(db);
    if (mysql_query(db->conn, text) != 0)
        return db_record_error(db, mysql_errno(db->conn), text, mysql_error(db->conn));
    return db->fault = FAULT_NONE;
}

enum db_fault db_restore_autocommit(struct db *db)
{
    db->was_transaction = db->was_transaction && db->in_transaction;
    if (!db->autocommit_off || db->in_transaction)
        return db->fault = FAULT_NONE;
    enum db_fault fault = db_command(db, "SET autocommit=1");
    db->autocommit_off = fault != FAULT_NONE;
    return fault;
}

void db_limit_reads(struct db *db, unsigned ms)
{
    db->reads_wanted_ms = ms;
    db->was_cut = false;
}

bool db_was_cut(const struct db *db)
{
    return db->was_cut;
}

enum db_fault db_apply_limit(struct db *db, bool in_transaction)
{
    char text[64];
    unsigned ms = in_transaction ? 0 : db->reads_wanted_ms;
    int64_t limit_ms = ms > 0 ? ms : statement_limit_ms(db);
    if (ms == db->reads_ms || db->in_transaction)
        return db->fault = FAULT_NONE;
    snprintf(text, sizeof text, "SET max_statement_time=%" PRId64 ".%03" PRId64, limit_ms / 1000,
             limit_ms % 1000);
    enum db_fault fault = db_command(db, text);
    if (fault == FAULT_NONE)
        db->reads_ms = ms;
    return fault;
}

enum err db_script(struct db *db, const char *text)
{
    if (db_connect(db) != FAULT_NONE || db_restore_autocommit(db) != FAULT_NONE)
        return ERR_UNAVAILABLE;
    mysql_set_server_option(db->conn, MYSQL_OPTION_MULTI_STATEMENTS_ON);
    if (mysql_query(db->conn, text) != 0) {
        db_record_error(db, mysql_errno(db->conn), "script", mysql_error(db->conn));
        return db_err(db->fault);
    }
    int next;
    do {
        MYSQL_RES *result = mysql_store_result(db->conn);
        mysql_free_result(result);
    } while ((next = mysql_next_result(db->conn)) == 0);
    if (next > 0)
        db_record_error(db, mysql_errno(db->conn), "script", mysql_error(db->conn));
    else
        mysql_set_server_option(db->conn, MYSQL_OPTION_MULTI_STATEMENTS_OFF);
    return db_err(db->fault);
}
