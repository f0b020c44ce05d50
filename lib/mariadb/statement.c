/* Prepared statements: prepared once a connection, run plainly, as a bulk insert, or with a list after IN. */
#include <errmsg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "mariadb/db_private.h"

/* of one bulk execution: far below max_allowed_packet (16 MiB by default) */
enum { BULK_BYTES = 4 * 1024 * 1024 };

/* --- preparing --- */

/* The query's text with its repeated group, if it has one, written `times` times, separated by commas. */
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

static void bind_columns(struct db_statement *st)
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
            .error = &column->is_truncated,
        };
    }
    mysql_free_result(meta);
}

/* The server returns another number of columns than scripts/embed has counted: C would read the wrong ones.
 */
static void record_wrong_columns(struct db *db, enum sql_id query, unsigned actual)
{
    log_error("db.column_count_wrong", "query=%s expected=%u actual=%u", sql_name[query], sql_columns[query],
              actual);
    db->fault = FAULT_STATEMENT;
}

struct db_statement *db_prepare(struct db *db, enum sql_id query, unsigned size_log2)
{
    struct db_statement *st = &db->statements[query][size_log2];
    if (st->stmt)
        return st;
    void *scratch = talloc_new(NULL);
    char *text = expand_group(scratch, sql_text[query], 1U << size_log2);
    st->stmt = mysql_stmt_init(db->conn);
    db_count_round_trip(db);
    bool ok = mysql_stmt_prepare(st->stmt, text, strlen(text)) == 0;
    talloc_free(scratch);
    if (ok && mysql_stmt_field_count(st->stmt) == sql_columns[query]) {
        bind_columns(st);
        return st;
    }
    if (ok)
        record_wrong_columns(db, query, mysql_stmt_field_count(st->stmt));
    else
        db_record_statement_error(db, st->stmt, sql_name[query]);
    if (st->stmt)
        mysql_stmt_close(st->stmt);
    st->stmt = NULL;
    return NULL;
}

void db_close_statements(struct db *db)
{
    for (size_t q = 0; q != SQL_COUNT; q++) {
        for (size_t s = 0; s < STATEMENT_SIZES; s++) {
            struct db_statement *st = &db->statements[q][s];
            if (st->stmt)
                mysql_stmt_close(st->stmt);
            free(st->columns);
            free(st->binds);
            *st = (struct db_statement){0};
        }
    }
}

/* --- values and rows --- */

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

/* Copies the text of a column of the current row: a short one was fetched with the row, a long one is fetched
 * now. */
static bool fetch_text(struct db_statement *st, unsigned c, char *out)
{
    const struct db_column *column = &st->columns[c];
    out[column->size] = '\0';
    if (column->size <= sizeof column->text) {
        memcpy(out, column->text, column->size);
        return true;
    }
    unsigned long size;
    my_bool is_null, is_truncated;
    MYSQL_BIND whole = {.buffer_type = MYSQL_TYPE_STRING,
                        .buffer = out,
                        .buffer_length = column->size,
                        .length = &size,
                        .is_null = &is_null,
                        .error = &is_truncated};
    return mysql_stmt_fetch_column(st->stmt, &whole, c, 0) == 0;
}

/* The texts of a row share one allocation, because results with many ids are frequent. */
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

/* Appends all rows of an executed statement to `rows`. */
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
        /* truncation is expected: fetch_text fetches long texts */
        int fetched = mysql_stmt_fetch(st->stmt);
        ok = (fetched == 0 || fetched == MYSQL_DATA_TRUNCATED) &&
             fetch_row(st, rows, &rows->cells[(rows->count + r) * n]);
    }
    if (ok)
        rows->count += more;
    mysql_stmt_free_result(st->stmt);
    return ok;
}

/* --- running --- */

/* False if the server has ended the transaction that the client believes to be in: statements that follow
 * would begin another one, and half of the work would be committed. */
static bool is_still_in_transaction(const struct db *db)
{
    return !db->in_transaction || (db->conn->server_status & SERVER_STATUS_IN_TRANS);
}

/* Executes a statement. array: the number of rows bound to each parameter (bulk insert), 0 for a plain
 * execution. */
static enum db_fault statement_run(struct db *db, enum sql_id query, unsigned size_log2, MYSQL_BIND *binds,
                                   size_t binds_n, unsigned array, struct db_rows *rows)
{
    struct db_statement *st = db_prepare(db, query, size_log2);
    if (!st)
        return db->fault;
    if (array != st->array) {
        mysql_stmt_attr_set(st->stmt, STMT_ATTR_ARRAY_SIZE, &array);
        st->array = array;
    }
    if (mysql_stmt_param_count(st->stmt) != binds_n) {
        log_error("db.value_count_wrong", "query=%s expected=%lu actual=%zu", sql_name[query],
                  mysql_stmt_param_count(st->stmt), binds_n);
        return db->fault = FAULT_STATEMENT;
    }
    db_count_round_trip(db);
    if (binds_n > 0 && mysql_stmt_bind_param(st->stmt, binds) != 0)
        return db_record_statement_error(db, st->stmt, sql_name[query]);
    if (mysql_stmt_execute(st->stmt) != 0 || (st->columns_n > 0 && !fetch_rows(st, rows)))
        return db_record_statement_error(db, st->stmt, sql_name[query]);
    if (array > 0 && (mysql_stmt_affected_rows(st->stmt) < array || !is_still_in_transaction(db)))
        return db_record_error(db, CR_UNKNOWN_ERROR, sql_name[query],
                               "another node aborted the transaction of a bulk statement");
    if (st->columns_n == 0) {
        rows->affected += mysql_stmt_affected_rows(st->stmt);
        rows->insert_id = mysql_stmt_insert_id(st->stmt);
    }
    return db->fault = FAULT_NONE;
}

/* Binds one parameter of a bulk insert to its values in all rows. The library takes them as one array each of
 * values, sizes and NULL indicators. */
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

/* The number of rows that one execution takes: at most BULK_BYTES, but at least one row. */
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

/* Inserts all rows in one execution of one statement, or in a few if they exceed BULK_BYTES. */
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

/* Runs a query with a list after IN in parts of 1, 2, 4 … 64 values, the last part padded with its last
 * value; a query without a repeated group runs once. */
static void run_list(struct db *db, enum sql_id query, const struct db_value *head, size_t head_n,
                     const struct db_value *each, size_t each_n, size_t count, struct db_rows *rows)
{
    MYSQL_BIND *binds = talloc_array(rows, MYSQL_BIND, head_n + each_n * REPEAT_MAX + 1);
    for (size_t done = 0; done < count && db->fault == FAULT_NONE;) {
        unsigned log2 = 0;
        while (log2 + 1 < STATEMENT_SIZES && (1U << log2) < count - done)
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

static void run_query(struct db *db, enum sql_id query, const struct db_value *head, size_t head_n,
                      const struct db_value *each, size_t each_n, size_t count, struct db_rows *rows)
{
    if (db_connect(db) != FAULT_NONE || db_restore_autocommit(db) != FAULT_NONE ||
        db_apply_limit(db, false) != FAULT_NONE)
        return;
    if (count > 1 && strstr(sql_text[query], "{{"))
        run_bulk(db, query, each, each_n, count, rows);
    else
        run_list(db, query, head, head_n, each, each_n, count, rows);
}

/* True for a query that only reads. Such a query may be sent again if the connection turns out to be dead, as
 * it is after the server was restarted; a statement that writes may have been executed already. */
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
        return ERR_UNAVAILABLE;
    bool was_connected = db->conn != NULL;
    run_query(db, query, head, head_n, each, each_n, count, rows);
    if (db->fault == FAULT_CONNECTION && was_connected && !db->in_transaction && is_read_only(query)) {
        rows->count = 0;
        run_query(db, query, head, head_n, each, each_n, count, rows);
    }
    if (!rows_r)
        talloc_free(rows);
    return db_err(db->fault);
}

enum err db_run(struct db *db, void *ctx, enum sql_id query, const struct db_value *args, size_t args_n,
                struct db_rows **rows_r)
{
    return db_run_each(db, ctx, query, args, args_n, NULL, 0, 1, rows_r);
}
