#include "mariadb/table_copy.h"

#include <mysql.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "mariadb/db_private.h"

enum { BATCH_BYTES = 1024 * 1024, COLUMNS_MAX = 64, DELETE_MAX = 10000 };

/* Sends a statement and leaves its result with the server, which sends row after row. NULL: see db->fault. */
static MYSQL_RES *ask(struct db *db, const char *text)
{
    if (db_connect(db) != FAULT_NONE || db_restore_autocommit(db) != FAULT_NONE ||
        db_command(db, text) != FAULT_NONE)
        return NULL;
    MYSQL_RES *result = mysql_use_result(db->conn);
    if (!result)
        db_record_error(db, mysql_errno(db->conn), text, mysql_error(db->conn));
    return result;
}

/* True if the last row was read, and not the connection lost. */
static bool has_ended_well(struct db *db, const char *what)
{
    if (mysql_errno(db->conn) == 0)
        return true;
    db_record_error(db, mysql_errno(db->conn), what, mysql_error(db->conn));
    return false;
}

enum err db_snapshot_begin(struct db *db)
{
    static const char *const commands[] = {
        /* a consumer may take its time between two statements and between two rows */
        "SET SESSION idle_transaction_timeout=0, net_write_timeout=3600",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    };
    if (db_connect(db) != FAULT_NONE || db_restore_autocommit(db) != FAULT_NONE)
        return db_err(db->fault);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (db_command(db, commands[i]) != FAULT_NONE)
            return db_err(db->fault);
    }
    return OK;
}

void db_snapshot_end(struct db *db)
{
    if (db->conn && db_command(db, "ROLLBACK") == FAULT_NONE &&
        db_command(db, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED") == FAULT_NONE)
        db_command(db, "SET SESSION idle_transaction_timeout=1");
}

enum err db_copy_columns(struct db *db, void *ctx, const char *table, char **columns_r, size_t *n_r)
{
    char *text =
        talloc_asprintf(ctx,
                        "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() "
                        "AND TABLE_NAME = '%s' AND GENERATION_EXPRESSION IS NULL ORDER BY ORDINAL_POSITION",
                        table);
    MYSQL_RES *result = ask(db, text);
    if (!result)
        return db_err(db->fault);
    *columns_r = talloc_strdup(ctx, "");
    *n_r = 0;
    for (MYSQL_ROW row = mysql_fetch_row(result); row; row = mysql_fetch_row(result))
        *columns_r = talloc_asprintf_append(*columns_r, "%s`%s`", (*n_r)++ ? "," : "", row[0]);
    bool ok = has_ended_well(db, text);
    mysql_free_result(result);
    if (!ok)
        return db_err(db->fault);
    return *n_r > 0 && *n_r <= COLUMNS_MAX ? OK : ERR_NOT_FOUND;
}

/* The condition with the id in the place of "?". */
static char *condition(void *ctx, const char *where, const id *workspace)
{
    size_t before = strcspn(where, "?");
    return talloc_asprintf(ctx, "%.*s'%s'%s", (int)before, where, workspace->text,
                           where[before] ? where + before + 1 : "");
}

enum err db_copy_out(struct db *db, const char *table, const char *columns, const char *where,
                     const id *workspace, db_copy_sink *sink, void *arg)
{
    void *ctx = talloc_new(NULL);
    struct span cells[COLUMNS_MAX];
    MYSQL_RES *result = ask(db, talloc_asprintf(ctx, "SELECT %s FROM `%s` WHERE %s", columns, table,
                                                condition(ctx, where, workspace)));
    enum err e = result ? OK : db_err(db->fault);
    unsigned n = result ? mysql_num_fields(result) : 0;
    for (MYSQL_ROW row; e == OK && (row = mysql_fetch_row(result));) {
        const unsigned long *sizes = mysql_fetch_lengths(result);
        for (unsigned i = 0; i < n; i++)
            cells[i] = (struct span){row[i], sizes[i]};
        e = sink(arg, cells, n);
    }
    if (e == OK && !has_ended_well(db, table))
        e = db_err(db->fault);
    mysql_free_result(result); /* reads what the sink did not want */
    talloc_free(ctx);
    return e;
}

struct db_copy_in {
    struct db *db;
    db_work *begin;
    void *begin_arg;
    char *head;
    const char *end;
    char *text;
    size_t size, room;
};

struct db_copy_in *db_copy_in_new(void *ctx, const struct db_copy_in_settings *s)
{
    struct db_copy_in *c = talloc_zero(ctx, struct db_copy_in);
    int first = (int)strcspn(s->columns, ",");
    c->db = s->db;
    c->begin = s->begin;
    c->begin_arg = s->begin_arg;
    c->head = talloc_asprintf(c, "INSERT INTO `%s` (%s) VALUES ", s->table, s->columns);
    /* the first column keeps its value: nothing is changed, and any other error is one */
    c->end = s->keeps ? talloc_asprintf(c, " ON DUPLICATE KEY UPDATE %.*s = `%s`.%.*s", first, s->columns,
                                        s->table, first, s->columns)
                      : "";
    return c;
}

static void add(struct db_copy_in *c, const char *bytes, size_t size)
{
    if (c->size + size > c->room) {
        c->room = (c->size + size) / 4 * 5 + BATCH_BYTES; /* talloc's longest piece has 256 MiB */
        c->text = talloc_realloc(c, c->text, char, c->room);
    }
    memcpy(c->text + c->size, bytes, size);
    c->size += size;
}

static bool is_plain(struct span cell)
{
    for (size_t i = 0; i < cell.size; i++) {
        if (cell.at[i] < ' ' || cell.at[i] > '~' || cell.at[i] == '\'' || cell.at[i] == '\\')
            return false;
    }
    return true;
}

/* Bytes that are not plain text are written as a hexadecimal literal, which a column of any character set
 * takes as they are. */
static void add_cell(struct db_copy_in *c, struct span cell)
{
    static const char digits[] = "0123456789abcdef";
    if (!cell.at) {
        add(c, "NULL", 4);
    } else if (is_plain(cell)) {
        add(c, "'", 1);
        add(c, cell.at, cell.size);
        add(c, "'", 1);
    } else {
        add(c, "x'", 2);
        for (size_t i = 0; i < cell.size; i++) {
            const unsigned char byte = (unsigned char)cell.at[i];
            add(c, (const char[]){digits[byte >> 4], digits[byte & 15]}, 2);
        }
        add(c, "'", 1);
    }
}

enum err db_copy_in_row(struct db_copy_in *c, const struct span *cells, size_t n)
{
    if (c->size == 0)
        add(c, c->head, strlen(c->head));
    else
        add(c, ",", 1);
    for (size_t i = 0; i < n; i++) {
        add(c, i == 0 ? "(" : ",", 1);
        add_cell(c, cells[i]);
    }
    add(c, ")", 1);
    return c->size >= BATCH_BYTES ? db_copy_in_flush(c) : OK;
}

static enum err insert_work(struct db_tx *tx, void *arg)
{
    const struct db_copy_in *c = arg;
    struct db *db = tx->db;
    /* whether these rows are there is not looked up: the caller begins anew */
    enum err e = tx->settling ? ERR_UNAVAILABLE : c->begin ? c->begin(tx, c->begin_arg) : OK;
    if (e != OK)
        return e;
    db_count_round_trip(db);
    if (mysql_real_query(db->conn, c->text, c->size) != 0)
        return db_err(db_record_error(db, mysql_errno(db->conn), c->head, mysql_error(db->conn)));
    return OK;
}

enum err db_copy_in_flush(struct db_copy_in *c)
{
    if (c->size == 0)
        return OK;
    add(c, c->end, strlen(c->end));
    enum err e = db_transaction(c->db, insert_work, c);
    c->size = 0;
    return e;
}

struct slice {
    const struct db_copy_delete *d;
    const char *text;
    uint64_t removed;
};

static enum err delete_work(struct db_tx *tx, void *arg)
{
    struct slice *s = arg;
    enum err e = s->d->begin ? s->d->begin(tx, s->d->begin_arg) : OK;
    if (e == OK && db_command(tx->db, s->text) != FAULT_NONE)
        e = db_err(tx->db->fault);
    s->removed = e == OK ? mysql_affected_rows(tx->db->conn) : 0;
    return e;
}

enum err db_copy_delete(struct db_copy_delete *d)
{
    void *ctx = talloc_new(NULL);
    struct slice s = {.d = d,
                      .text = talloc_asprintf(ctx, "DELETE FROM `%s` WHERE %s LIMIT %d", d->table,
                                              condition(ctx, d->where, d->workspace), DELETE_MAX)};
    enum err e;
    do {
        e = db_transaction(d->db, delete_work, &s);
        d->n += (int64_t)s.removed;
    } while (e == OK && s.removed == DELETE_MAX);
    talloc_free(ctx);
    return e;
}

enum err db_copy_count(struct db *db, const char *table, const char *where, const id *workspace, int64_t *n_r)
{
    void *ctx = talloc_new(NULL);
    MYSQL_RES *result = ask(db, talloc_asprintf(ctx, "SELECT COUNT(*) FROM `%s` WHERE %s", table,
                                                condition(ctx, where, workspace)));
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    enum err e = row ? OK : db_err(result ? FAULT_CONNECTION : db->fault);
    *n_r = row ? strtoll(row[0], NULL, 10) : 0;
    if (row)
        mysql_fetch_row(result); /* its end */
    mysql_free_result(result);
    talloc_free(ctx);
    return e;
}
