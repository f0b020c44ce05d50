#include "mariadb/db.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

enum {
    SIZES = 7, /* 1, 2, 4 … 64 repetitions */
    REPEAT_MAX = 1 << (SIZES - 1),
    TRIES = 5,
    SETTLE_MS = 2000,
    TIMEOUT_S = 3,
    TEXT_SHORT = 64, /* ids fit, and most names */
    BULK_BYTES =
        4 * 1024 * 1024, /* of one bulk execution: far below max_allowed_packet (16 MiB by default) */
};

/* MariaDB's own numbers (errmsg.h and mysqld_error.h). */
enum {
    E_LOCK_TIMEOUT = 1205,
    E_DEADLOCK = 1213,
    E_RECORD_CHANGED = 1020,
    E_UNKNOWN_COMMAND = 1047,
    E_KILLED = 1927,
    E_SHUTDOWN = 1053,
    E_QUERY_KILLED = 1317,
    E_TOO_MANY_CONNECTIONS = 1040,
    E_READ_ONLY = 1290,
};

enum db_fault { FAULT_NONE, FAULT_RETRY, FAULT_CONNECTION, FAULT_STATEMENT };

struct db_column { /* of a result: where a row's value lands */
    bool is_integer;
    my_bool is_null, is_cut;
    int64_t number;
    unsigned long size;
    char text[TEXT_SHORT]; /* a longer one is fetched by itself */
};

struct db_statement {
    MYSQL_STMT *stmt;
    unsigned columns_n;
    struct db_column *columns;
    MYSQL_BIND *binds;
    unsigned array; /* rows a parameter, as the statement was told last */
};

struct db {
    MYSQL *conn;
    struct db_settings settings;
    struct db_statement statements[SQL_COUNT][SIZES];
    enum db_fault fault; /* of the last call */
    bool in_transaction;
    bool autocommit_off;  /* the session is at autocommit=0: a transaction begins with its first statement */
    bool was_transaction; /* the last use of the connection */
    uint64_t round_trips;
    _Atomic uint64_t *published_id; /* told the connection's id */
    struct db_counters counters;
};

/* --- values and cells --- */

struct db_value db_number(int64_t number)
{
    return (struct db_value){.kind = DB_NUMBER, .number = number};
}

struct db_value db_bytes(const void *bytes, size_t size)
{
    return (struct db_value){.kind = DB_TEXT, .text = bytes, .size = size};
}

struct db_value db_null(void)
{
    return (struct db_value){.kind = DB_NULL};
}

struct db_value db_text(const char *text)
{
    return text ? db_bytes(text, strlen(text)) : db_null();
}

struct db_value db_id(const id *i)
{
    return id_is_set(i) ? db_bytes(i->text, ID_LENGTH) : db_null();
}

struct db_value db_number_or_null(int64_t number, bool is_set)
{
    return is_set ? db_number(number) : db_null();
}

const struct db_cell *db_cell(const struct db_rows *rows, size_t row, size_t column)
{
    return &rows->cells[row * rows->columns + column];
}

int64_t db_int(const struct db_rows *rows, size_t row, size_t column)
{
    return db_cell(rows, row, column)->number;
}

const char *db_str(const struct db_rows *rows, size_t row, size_t column)
{
    return db_cell(rows, row, column)->text;
}

id db_get_id(const struct db_rows *rows, size_t row, size_t column)
{
    const struct db_cell *c = db_cell(rows, row, column);
    id i = {{0}};
    if (!c->is_null)
        (void)id_parse(c->text, c->size, &i);
    return i;
}

/* --- the connection --- */

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
    default: /* 2000–2999: the client library's, all of them about the connection */
        return number >= 2000 && number < 3000 ? FAULT_CONNECTION : FAULT_STATEMENT;
    }
}

static enum err err_of(enum db_fault f)
{
    if (f == FAULT_NONE)
        return OK;
    return f == FAULT_STATEMENT ? ERR_INTERNAL : ERR_BUSY;
}

static void db_disconnect(struct db *db)
{
    for (size_t q = 0; q != SQL_COUNT; q++) { /* none, in a tree without queries */
        for (size_t s = 0; s < SIZES; s++) {
            struct db_statement *st = &db->statements[q][s];
            if (st->stmt)
                mysql_stmt_close(st->stmt);
            free(st->columns);
            free(st->binds);
            *st = (struct db_statement){0};
        }
    }
    if (db->conn)
        mysql_close(db->conn);
    db->conn = NULL; /* in_transaction stays: what is left of a transaction must not run outside it */
}

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
        .timeout_s = settings->timeout_s ? settings->timeout_s : TIMEOUT_S,
    };
    talloc_set_destructor(db, db_destroy);
    return db;
}

static enum db_fault db_record_error(struct db *db, unsigned number, const char *what, const char *message)
{
    db->fault = classify_error(number);
    if (db->fault == FAULT_STATEMENT)
        log_error("db.failed", "what=%s errno=%u message=\"%s\"", what, number, message);
    if (db->fault == FAULT_CONNECTION) {
        log_warn("db.lost", "what=%s errno=%u message=\"%s\"", what, number, message);
        db->counters.lost++;
        db_disconnect(db);
    }
    return db->fault;
}

static enum db_fault db_text_command(struct db *db, const char *text)
{
    db->round_trips++;
    if (mysql_query(db->conn, text) != 0)
        return db_record_error(db, mysql_errno(db->conn), text, mysql_error(db->conn));
    return db->fault = FAULT_NONE;
}

static enum db_fault db_connect(struct db *db)
{
    if (db->conn)
        return db->fault = FAULT_NONE;
    MYSQL *conn = mysql_init(NULL);
    if (!conn)
        return db->fault = FAULT_CONNECTION;
    unsigned connect_s = 2;
    my_bool no = 0;
    mysql_options(conn, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(conn, MYSQL_OPT_READ_TIMEOUT, &db->settings.timeout_s);
    mysql_options(conn, MYSQL_OPT_WRITE_TIMEOUT, &db->settings.timeout_s);
    mysql_options(conn, MYSQL_OPT_RECONNECT, &no);
    mysql_options(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    /* A process that is stopped, or has lost its machine, must not keep an account locked: a transaction in
     * which nothing is asked for a second ends. */
    mysql_options(conn, MYSQL_INIT_COMMAND,
                  "SET SESSION tx_isolation='READ-COMMITTED', innodb_lock_wait_timeout=2, "
                  "idle_transaction_timeout=1, sql_mode="
                  "'STRICT_ALL_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
                  "time_zone='+00:00'");
    if (!mysql_real_connect(conn, NULL, db->settings.user, db->settings.password, db->settings.name, 0,
                            db->settings.socket, CLIENT_FOUND_ROWS)) {
        log_warn("db.unreachable", "errno=%u message=\"%s\"", mysql_errno(conn), mysql_error(conn));
        mysql_close(conn);
        db->counters.lost++;
        return db->fault = FAULT_CONNECTION;
    }
    db->conn = conn;
    db->autocommit_off = false;
    db->was_transaction = false;
    if (db->published_id)
        *db->published_id = mysql_thread_id(conn);
    return db->fault = FAULT_NONE;
}

enum err db_ping(struct db *db)
{
    if (db_connect(db) == FAULT_NONE && mysql_ping(db->conn) != 0)
        db_record_error(db, mysql_errno(db->conn), "ping", mysql_error(db->conn));
    return err_of(db->fault);
}

uint64_t db_connection_id(const struct db *db)
{
    return db->conn ? mysql_thread_id(db->conn) : 0;
}

void db_publish_connection_id(struct db *db, _Atomic uint64_t *where)
{
    db->published_id = where;
    if (where)
        *where = db_connection_id(db);
}

uint64_t db_round_trips(const struct db *db)
{
    return db->round_trips;
}

struct db_counters db_take_counters(struct db *db)
{
    struct db_counters t = db->counters;
    db->counters = (struct db_counters){0};
    return t;
}

/* --- statements --- */

/* The query's text with its group, if any, written `times` times, comma-separated (rows are bound, not
 * written). */
static char *expand_group(void *ctx, const char *text, unsigned times)
{
    const char *open = strstr(text, "{{");
    const char *close = open ? strstr(open, "}}") : NULL;
    if (!open) {
        open = strstr(text, "[[");
        close = open ? strstr(open, "]]") : NULL;
    }
    if (!open || !close)
        return talloc_strdup(ctx, text);
    char *out = talloc_strndup(ctx, text, (size_t)(open - text));
    for (unsigned i = 0; i < times; i++)
        out = talloc_asprintf_append_buffer(out, "%s%.*s", i ? "," : "", (int)(close - open - 2), open + 2);
    return talloc_strdup_append_buffer(out, close + 2);
}

static void statement_learn_columns(struct db_statement *st)
{
    MYSQL_RES *meta = mysql_stmt_result_metadata(st->stmt);
    if (!meta)
        return;
    st->columns_n = mysql_num_fields(meta);
    st->columns = calloc(st->columns_n, sizeof *st->columns);
    st->binds = calloc(st->columns_n, sizeof *st->binds);
    MYSQL_FIELD *fields = mysql_fetch_fields(meta);
    for (unsigned c = 0; c < st->columns_n; c++) {
        enum enum_field_types t = fields[c].type;
        struct db_column *column = &st->columns[c];
        column->is_integer = t == MYSQL_TYPE_TINY || t == MYSQL_TYPE_SHORT || t == MYSQL_TYPE_LONG ||
                             t == MYSQL_TYPE_INT24 || t == MYSQL_TYPE_LONGLONG;
        st->binds[c] = (MYSQL_BIND){
            .buffer_type = column->is_integer ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_STRING,
            .buffer = column->is_integer ? (void *)&column->number : column->text,
            .buffer_length = column->is_integer ? sizeof column->number : sizeof column->text,
            .length = &column->size,
            .is_null = &column->is_null,
            .error = &column->is_cut,
        };
    }
    mysql_free_result(meta);
}

/* The server sees other columns than scripts/embed has numbered: the row's readers would mistake them. */
static void record_wrong_columns(struct db *db, enum sql_id query, unsigned got)
{
    log_error("db.wrong_columns", "query=%s wants=%u got=%u", sql_name[query], sql_columns[query], got);
    db->fault = FAULT_STATEMENT;
}

static struct db_statement *statement_get(struct db *db, enum sql_id query, unsigned size_log2)
{
    struct db_statement *st = &db->statements[query][size_log2];
    if (st->stmt)
        return st;
    void *scratch = talloc_new(NULL);
    char *text = expand_group(scratch, sql_text[query], 1U << size_log2);
    st->stmt = mysql_stmt_init(db->conn);
    db->round_trips++;
    bool ok = mysql_stmt_prepare(st->stmt, text, strlen(text)) == 0;
    talloc_free(scratch);
    if (ok && mysql_stmt_field_count(st->stmt) == sql_columns[query]) {
        statement_learn_columns(st);
        return st;
    }
    if (ok)
        record_wrong_columns(db, query, mysql_stmt_field_count(st->stmt));
    else
        db_record_error(db, mysql_stmt_errno(st->stmt), sql_name[query], mysql_stmt_error(st->stmt));
    if (st->stmt)
        mysql_stmt_close(st->stmt);
    st->stmt = NULL;
    return NULL;
}

static void bind_value(MYSQL_BIND *b, const struct db_value *v)
{
    switch (v->kind) {
    case DB_NULL:
        b->buffer_type = MYSQL_TYPE_NULL;
        break;
    case DB_NUMBER:
        b->buffer_type = MYSQL_TYPE_LONGLONG;
        b->buffer = (void *)&v->number;
        break;
    case DB_TEXT:
        b->buffer_type = MYSQL_TYPE_STRING;
        b->buffer = (void *)v->text;
        b->buffer_length = v->size;
        break;
    }
}

/* The text of a column of the row in hand, from the statement or, where it is long, from the library. */
static bool fetch_text(struct db_statement *st, unsigned c, char *out)
{
    const struct db_column *column = &st->columns[c];
    out[column->size] = '\0';
    if (column->size <= sizeof column->text) {
        memcpy(out, column->text, column->size);
        return true;
    }
    unsigned long size;
    my_bool is_null, is_cut;
    MYSQL_BIND whole = {.buffer_type = MYSQL_TYPE_STRING,
                        .buffer = out,
                        .buffer_length = column->size,
                        .length = &size,
                        .is_null = &is_null,
                        .error = &is_cut};
    return mysql_stmt_fetch_column(st->stmt, &whole, c, 0) == 0;
}

/* The texts of a row share one piece of memory: rows of many ids are read all the time. */
static bool fetch_row(struct db_statement *st, struct db_rows *rows, struct db_cell *cells)
{
    size_t size = 0;
    for (unsigned c = 0; c < st->columns_n; c++) {
        const struct db_column *column = &st->columns[c];
        size += column->is_integer || column->is_null ? 0 : column->size + 1;
    }
    char *text = talloc_size(rows, size + 1);
    for (unsigned c = 0; c < st->columns_n; c++) {
        const struct db_column *column = &st->columns[c];
        cells[c] = (struct db_cell){.is_null = column->is_null};
        if (column->is_null)
            continue;
        if (column->is_integer) {
            cells[c].number = column->number;
            continue;
        }
        if (!fetch_text(st, c, text))
            return false;
        cells[c].text = text;
        cells[c].size = column->size;
        text += column->size + 1;
    }
    return true;
}

/* Reads all rows of an executed statement behind those that `rows` has already. */
static bool fetch_rows(struct db_statement *st, struct db_rows *rows)
{
    unsigned n = st->columns_n;
    if (mysql_stmt_store_result(st->stmt) != 0 || mysql_stmt_bind_result(st->stmt, st->binds) != 0)
        return false;
    size_t more = mysql_stmt_num_rows(st->stmt);
    rows->columns = n;
    rows->cells = talloc_realloc(rows, rows->cells, struct db_cell, (rows->count + more) * n + 1);
    bool ok = true;
    for (size_t r = 0; ok && r < more; r++) {
        int fetched = mysql_stmt_fetch(st->stmt); /* a cut text is no failure */
        ok = (fetched == 0 || fetched == MYSQL_DATA_TRUNCATED) &&
             fetch_row(st, rows, &rows->cells[(rows->count + r) * n]);
    }
    if (ok)
        rows->count += more;
    mysql_stmt_free_result(st->stmt);
    return ok;
}

/* Executes with `array` rows of values a parameter (a bulk insert), or with array = 0 plainly. */
static enum db_fault statement_run(struct db *db, enum sql_id query, unsigned size_log2, MYSQL_BIND *binds,
                                   size_t binds_n, unsigned array, struct db_rows *rows)
{
    struct db_statement *st = statement_get(db, query, size_log2);
    if (!st)
        return db->fault;
    if (array != st->array) {
        mysql_stmt_attr_set(st->stmt, STMT_ATTR_ARRAY_SIZE, &array);
        st->array = array;
    }
    if (mysql_stmt_param_count(st->stmt) != binds_n) {
        log_error("db.wrong_arguments", "query=%s wants=%lu got=%zu", sql_name[query],
                  mysql_stmt_param_count(st->stmt), binds_n);
        return db->fault = FAULT_STATEMENT;
    }
    db->round_trips++;
    if (binds_n > 0 && mysql_stmt_bind_param(st->stmt, binds) != 0)
        return db_record_error(db, mysql_stmt_errno(st->stmt), sql_name[query], mysql_stmt_error(st->stmt));
    if (mysql_stmt_execute(st->stmt) != 0 || (st->columns_n > 0 && !fetch_rows(st, rows))) {
        char message[512];
        snprintf(message, sizeof message, "%s", mysql_stmt_error(st->stmt));
        return db_record_error(db, mysql_stmt_errno(st->stmt), sql_name[query], message);
    }
    if (st->columns_n == 0) {
        rows->affected += mysql_stmt_affected_rows(st->stmt);
        rows->insert_id = mysql_stmt_insert_id(st->stmt);
    }
    return db->fault = FAULT_NONE;
}

/* One parameter of a bulk insert: its values of all rows, column by column as the library wants them. */
static void bind_column(void *ctx, MYSQL_BIND *b, const struct db_value *first, size_t step, size_t count)
{
    char *indicators = talloc_array(ctx, char, count);
    int64_t *numbers = talloc_array(ctx, int64_t, count);
    const char **texts = talloc_array(ctx, const char *, count);
    unsigned long *sizes = talloc_array(ctx, unsigned long, count);
    bool is_number = false;
    for (size_t i = 0; i < count; i++) {
        const struct db_value *v = &first[i * step];
        indicators[i] = v->kind == DB_NULL ? STMT_INDICATOR_NULL : STMT_INDICATOR_NONE;
        is_number = is_number || v->kind == DB_NUMBER;
        numbers[i] = v->number;
        texts[i] = v->kind == DB_TEXT ? v->text : "";
        sizes[i] = v->kind == DB_TEXT ? v->size : 0;
    }
    *b = (MYSQL_BIND){.buffer_type = is_number ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_STRING,
                      .buffer = is_number ? (void *)numbers : (void *)texts,
                      .length = sizes};
    b->u.indicator = indicators;
}

/* How many of the rows make one execution: no more bytes than a packet takes, but at least one row. */
static size_t bulk_size(const struct db_value *each, size_t each_n, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < each_n; k++)
            bytes += each[i * each_n + k].size + sizeof(int64_t);
        if (bytes > BULK_BYTES)
            return i > 0 ? i : 1;
    }
    return count;
}

/* Rows to insert: any number of them is one execution of one statement, or a few where they are very large.
 */
static void run_bulk(struct db *db, enum sql_id query, const struct db_value *each, size_t each_n,
                     size_t count, struct db_rows *rows)
{
    for (size_t done = 0, n; done < count && db->fault == FAULT_NONE; done += n) {
        const struct db_value *first = each + done * each_n;
        void *scratch = talloc_new(rows);
        MYSQL_BIND *binds = talloc_zero_array(scratch, MYSQL_BIND, each_n);
        n = bulk_size(first, each_n, count - done);
        for (size_t k = 0; k < each_n; k++)
            bind_column(scratch, &binds[k], first + k, each_n, n);
        statement_run(db, query, 0, binds, each_n, (unsigned)n, rows);
        talloc_free(scratch);
    }
}

/* A list after IN, in parts of 1, 2, 4 … 64, the last one padded with its last value; or no group at all. */
static void run_list(struct db *db, enum sql_id query, const struct db_value *head, size_t head_n,
                     const struct db_value *each, size_t each_n, size_t count, struct db_rows *rows)
{
    MYSQL_BIND *binds = talloc_array(rows, MYSQL_BIND, head_n + each_n * REPEAT_MAX + 1);
    for (size_t done = 0; done < count && db->fault == FAULT_NONE;) {
        unsigned log2 = 0;
        while (log2 + 1 < SIZES && (1U << log2) < count - done)
            log2++;
        size_t times = (size_t)1 << log2;
        memset(binds, 0, sizeof *binds * (head_n + each_n * times));
        for (size_t i = 0; i < head_n; i++)
            bind_value(&binds[i], &head[i]);
        for (size_t i = 0; i < times; i++) {
            size_t from = done + i < count ? done + i : count - 1;
            for (size_t k = 0; k < each_n; k++)
                bind_value(&binds[head_n + i * each_n + k], &each[from * each_n + k]);
        }
        statement_run(db, query, log2, binds, head_n + each_n * times, 0, rows);
        done += times;
    }
    talloc_free(binds);
}

/* Before a statement outside a transaction: it is to commit by itself again. */
static enum db_fault restore_autocommit(struct db *db)
{
    db->was_transaction = db->was_transaction && db->in_transaction;
    if (!db->autocommit_off || db->in_transaction)
        return db->fault = FAULT_NONE;
    enum db_fault f = db_text_command(db, "SET autocommit=1");
    db->autocommit_off = f != FAULT_NONE;
    return f;
}

static void run_query(struct db *db, enum sql_id query, const struct db_value *head, size_t head_n,
                      const struct db_value *each, size_t each_n, size_t count, struct db_rows *rows)
{
    if (db_connect(db) != FAULT_NONE || restore_autocommit(db) != FAULT_NONE)
        return;
    if (count > 1 && strstr(sql_text[query], "{{"))
        run_bulk(db, query, each, each_n, count, rows);
    else
        run_list(db, query, head, head_n, each, each_n, count, rows);
}

/* Whether a query only reads: then it may be sent again where the connection was found dead (a server that
 * was restarted while we were idle), which nothing else may. */
static bool is_read_only(enum sql_id query)
{
    return strncmp(sql_text[query], "SELECT", 6) == 0 && !strstr(sql_text[query], "FOR UPDATE");
}

enum err db_run_each(struct db *db, void *ctx, enum sql_id query, const struct db_value *head, size_t head_n,
                     const struct db_value *each, size_t each_n, size_t count, struct db_rows **rows_r)
{
    struct db_rows *rows = talloc_zero(ctx, struct db_rows);
    if (rows_r)
        *rows_r = rows;
    if (count == 0)
        return OK;
    if (!db->conn && db->in_transaction)
        return ERR_BUSY;
    bool was_connected = db->conn != NULL;
    run_query(db, query, head, head_n, each, each_n, count, rows);
    if (db->fault == FAULT_CONNECTION && was_connected && !db->in_transaction && is_read_only(query)) {
        rows->count = 0;
        run_query(db, query, head, head_n, each, each_n, count, rows);
    }
    if (!rows_r)
        talloc_free(rows);
    return err_of(db->fault);
}

enum err db_run(struct db *db, void *ctx, enum sql_id query, const struct db_value *args, size_t args_n,
                struct db_rows **rows_r)
{
    return db_run_each(db, ctx, query, args, args_n, NULL, 0, 1, rows_r);
}

/* --- transactions --- */

enum tx_outcome { TX_DONE, TX_RETRY, TX_COMMIT_LOST };

static void tx_rollback(struct db *db)
{
    if (db->conn && db->in_transaction)
        (void)db_text_command(db, "ROLLBACK");
    db->in_transaction = false;
}

static enum db_fault tx_commit(struct db *db)
{
    db->round_trips++;
    failpoint("db.before_commit");
    int failed = mysql_send_query(db->conn, "COMMIT", 6);
    failpoint("db.in_commit");
    if (failed != 0 || mysql_read_query_result(db->conn) != 0)
        return db_record_error(db, mysql_errno(db->conn), "COMMIT", mysql_error(db->conn));
    failpoint("db.after_commit");
    return db->fault = FAULT_NONE;
}

/* A transaction that follows another one begins with its first statement: the session stays at autocommit=0
 * between them, which saves a round trip each. Going there costs the one that START TRANSACTION would have
 * cost; only a plain statement that follows pays, to come back (restore_autocommit). */
static enum db_fault tx_begin(struct db *db)
{
    bool streak = db->was_transaction;
    db->was_transaction = true;
    if (db->autocommit_off)
        return db->fault = FAULT_NONE;
    enum db_fault f = db_text_command(db, streak ? "SET autocommit=0" : "START TRANSACTION");
    db->autocommit_off = streak && f == FAULT_NONE;
    return f;
}

/* One run from its beginning to COMMIT. */
static enum tx_outcome tx_attempt(struct db *db, bool settling, db_work *work, void *arg, enum err *e_r)
{
    *e_r = ERR_BUSY;
    db->in_transaction = false;
    if (db_connect(db) != FAULT_NONE || tx_begin(db) != FAULT_NONE)
        return TX_RETRY;
    db->in_transaction = true;
    struct db_tx tx = {.db = db, .settling = settling, .ctx = talloc_new(db)};
    db->fault = FAULT_NONE;
    *e_r = work(&tx, arg);
    enum db_fault during = db->fault;
    talloc_free(tx.ctx);
    if (*e_r != OK) {
        tx_rollback(db);
        return *e_r == ERR_BUSY && (during == FAULT_RETRY || during == FAULT_CONNECTION) ? TX_RETRY : TX_DONE;
    }
    db->in_transaction = false;
    enum db_fault f = db->conn ? tx_commit(db) : FAULT_CONNECTION;
    if (f == FAULT_NONE)
        return TX_DONE;
    *e_r = f == FAULT_STATEMENT ? ERR_INTERNAL : ERR_BUSY;
    if (f == FAULT_CONNECTION)
        return TX_COMMIT_LOST;
    return f == FAULT_RETRY ? TX_RETRY : TX_DONE;
}

/* Makes sure that the old connection cannot commit any more: it is dead before the work looks for its ids.
 * 1094: there is no such connection any more. 1095: it is another user's, so the server was started again
 * since, and ours went with the old one. */
static bool kill_connection(struct db *db, uint64_t old)
{
    char text[64];
    snprintf(text, sizeof text, "KILL HARD CONNECTION %llu", (unsigned long long)old);
    if (!old || db_connect(db) != FAULT_NONE)
        return old == 0;
    db->round_trips++;
    if (mysql_query(db->conn, text) == 0 || mysql_errno(db->conn) == 1094 || mysql_errno(db->conn) == 1095)
        return true;
    db_record_error(db, mysql_errno(db->conn), text, mysql_error(db->conn));
    return false;
}

enum err db_transaction_settle(struct db *db, uint64_t old_connection, db_work *work, void *arg)
{
    int64_t until_ms = clock_boot_ms() + SETTLE_MS;
    db->counters.settled++;
    uint64_t old = old_connection;
    do {
        enum err e;
        if (kill_connection(db, old)) {
            uint64_t mine = db_connection_id(db);
            enum tx_outcome o = tx_attempt(db, true, work, arg, &e);
            if (o == TX_DONE)
                return e;
            if (o == TX_COMMIT_LOST)
                old = mine;
        }
        struct timespec pause = {.tv_nsec = 20 * 1000000L};
        nanosleep(&pause, NULL);
    } while (clock_boot_ms() < until_ms);
    return ERR_UNCERTAIN;
}

enum err db_transaction(struct db *db, db_work *work, void *arg)
{
    enum err e = ERR_BUSY;
    bool reconnected = false;
    for (int i = 0; i < TRIES; i++) {
        if (db_connect(db) != FAULT_NONE)
            return ERR_BUSY;
        uint64_t mine = db_connection_id(db);
        switch (tx_attempt(db, false, work, arg, &e)) {
        case TX_DONE:
            return e;
        case TX_COMMIT_LOST:
            return db_transaction_settle(db, mine, work, arg);
        case TX_RETRY:
            if (!db->conn && reconnected)
                return ERR_BUSY;
            reconnected = reconnected || !db->conn;
        }
    }
    log_warn("db.gave_up", "tries=%d", TRIES);
    return e;
}

enum err db_script(struct db *db, const char *text)
{
    if (db_connect(db) != FAULT_NONE || restore_autocommit(db) != FAULT_NONE)
        return ERR_BUSY;
    mysql_set_server_option(db->conn, MYSQL_OPTION_MULTI_STATEMENTS_ON);
    if (mysql_query(db->conn, text) != 0) {
        db_record_error(db, mysql_errno(db->conn), "script", mysql_error(db->conn));
        return err_of(db->fault);
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
    return err_of(db->fault);
}
