/* millrace workspace import: reads the file twice. The first time checks all of it and changes nothing; the
 * second time inserts. The account comes first, frozen, and is opened last. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "blob/blob_rows.h"
#include "cli/archive.h"
#include "cli/commands.h"
#include "cli/workspace_move.h"
#include "cli/workspace_owned.h"
#include "deed/deed.h"
#include "mariadb/table_copy.h"
#include "skill/package.h"
#include "json/json.h"

enum { TABLES_MAX = 128, PATH_SIZE = 64 };

struct import {
    struct cli *cli;
    const char *path;
    struct archive *archive;
    struct seal_keys keys;
    struct blob_store *blobs;
    id workspace;
    const char *cell;
    int64_t schema, rows_n, blobs_n, packages_n;
    /* of the table at which the file is */
    const struct workspace_table *table;
    char *columns;
    size_t columns_n;
    int frozen_column, touched_column, number_column;
    /* the account as this import has brought it */
    struct workspace_fence fence;
    char token_text[24];
    struct owned *owned;
    /* what was read of each entry of workspace_tables; -1: it is not in the file */
    int64_t counts[TABLES_MAX];
    /* in the second pass */
    bool writes;
    struct db_copy_in *rows;
    /* of the blob or package at which the file is */
    enum archive_kind kind;
    uint8_t sha256[BLOB_HASH];
    crypto_hash_sha256_state hash;
    struct blob_writer *writer;
    FILE *package;
    bool is_open;
};

/* An error whose reason was printed. */
static enum err refuse(struct import *m, const char *why, const char *what)
{
    cli_fail(m->cli, "%s %s%s%s; nothing was changed", m->path, why, what ? ": " : "", what ? what : "");
    return ERR_DENIED;
}

/* --- the head --- */

static enum err read_head(struct import *m)
{
    json_object *o;
    const char *why;
    int64_t own;
    id named;
    enum err e = archive_next(m->archive);
    if (e != OK || m->archive->kind != ARCHIVE_HEAD)
        return ERR_INVALID;
    if (json_parse(m->cli->ctx, (const char *)m->archive->content, m->archive->size, JSON_DEPTH_MAX, &o,
                   &why) != OK)
        return ERR_INVALID;
    const char *workspace = json_get_text(o, "workspace");
    m->cell = json_get_text(o, "cell");
    m->schema = json_object_get_int64(json_get(o, "schema"));
    if (!workspace || !id_parse(workspace, strlen(workspace), &named) ||
        (m->writes && !id_equal(&named, &m->workspace))) /* the file has changed since the first pass */
        return ERR_INVALID;
    m->workspace = named;
    m->owned = owned_new(m->archive, &m->workspace);
    e = workspace_schema(m->cli->db, m->cli->ctx, &own);
    if (e == OK && own != m->schema)
        return refuse(m, "comes from a database of another version: its newest migration is",
                      talloc_asprintf(m->cli->ctx, "%lld, here it is %lld; bring both to the same version",
                                      (long long)m->schema, (long long)own));
    return e;
}

/* --- rows --- */

static enum err begin_table(struct import *m)
{
    char *name = (char *)m->archive->content, *end = strchr(name, '\n'), *columns;
    size_t n;
    if (!end)
        return ERR_INVALID;
    *end = '\0';
    m->table = NULL;
    for (const struct workspace_table *t = workspace_tables; t->name; t++) {
        if (t->where && strcmp(t->name, name) == 0)
            m->table = t;
    }
    if (!m->table)
        return ERR_INVALID;
    /* in their order: the frozen account is there before what it keeps at rest, and rows before those that
     * belong to them */
    for (const struct workspace_table *t = m->table; t->name; t++) {
        if (m->counts[t - workspace_tables] >= 0)
            return ERR_INVALID;
    }
    m->counts[m->table - workspace_tables] = 0;
    enum err e = db_copy_columns(m->cli->db, m->cli->ctx, name, &columns, &n);
    if (e != OK)
        return e;
    if (strcmp(columns, end + 1) != 0)
        return refuse(m, "has other columns than the table here", name);
    m->columns = columns;
    m->columns_n = n;
    bool is_ledger = strcmp(name, "credit_ledger") == 0, is_account = strcmp(name, "accounts") == 0;
    m->frozen_column = is_account ? workspace_column(columns, "frozen") : -1;
    m->touched_column = is_account ? workspace_column(columns, "touched") : -1;
    m->number_column = is_ledger ? workspace_column(columns, "number") : -1;
    if (m->writes)
        m->rows = db_copy_in_new(
            m->cli->ctx, &(struct db_copy_in_settings){.db = m->cli->db,
                                                       .table = name,
                                                       .columns = columns,
                                                       .keeps = strcmp(name, "tenants") == 0,
                                                       .begin = is_account ? NULL : workspace_check_fence,
                                                       .begin_arg = &m->fence});
    return OK;
}

static enum err end_table(struct import *m)
{
    enum err e = m->rows ? db_copy_in_flush(m->rows) : OK;
    TALLOC_FREE(m->rows);
    m->table = NULL;
    return e;
}

static enum err take_row(struct import *m)
{
    struct span cells[ARCHIVE_CELLS_MAX];
    if (!m->table || m->columns_n > ARCHIVE_CELLS_MAX || !archive_row(m->archive, cells, m->columns_n))
        return ERR_INVALID;
    if (!owned_take(m->owned, m->table, m->columns, cells))
        return refuse(m, "has a row that is not of its workspace", m->table->name);
    void *ctx = talloc_new(NULL);
    enum err e = workspace_reseal(ctx, &m->keys, false, &m->workspace, m->table->name, m->columns, cells);
    if (e == ERR_DENIED)
        e = refuse(
            m, "has secrets that the key file does not open, or the settings here have no key file for them",
            m->table->name);
    if (m->frozen_column >= 0)
        cells[m->frozen_column] = span_text("2" /* FROZEN_IMPORTING */);
    if (m->touched_column >= 0)
        cells[m->touched_column] = span_text(m->token_text);
    /* below every cursor of the usage push: the cell in which a row was written sends it */
    if (m->number_column >= 0 && cells[m->number_column].at)
        cells[m->number_column] = span_text("0");
    m->counts[m->table - workspace_tables]++;
    m->rows_n++;
    if (e == OK && m->writes)
        e = db_copy_in_row(m->rows, cells, m->columns_n);
    talloc_free(ctx);
    return e;
}

/* --- bytes --- */

static enum err begin_bytes(struct import *m)
{
    if (m->archive->size != BLOB_HASH)
        return ERR_INVALID;
    m->is_open = true;
    m->kind = m->archive->kind;
    memcpy(m->sha256, m->archive->content, BLOB_HASH);
    crypto_hash_sha256_init(&m->hash);
    if (!m->writes)
        return OK;
    if (m->kind == ARCHIVE_PACKAGE)
        return (m->package = tmpfile()) ? OK : ERR_LIMIT;
    return (m->writer = blob_writer_new(m->cli->ctx, m->blobs)) ? OK : ERR_LIMIT;
}

static enum err take_bytes(struct import *m)
{
    if (!m->is_open)
        return ERR_INVALID;
    crypto_hash_sha256_update(&m->hash, m->archive->content, m->archive->size);
    if (m->writer)
        return blob_write(m->writer, m->archive->content, m->archive->size);
    if (m->package && fwrite(m->archive->content, 1, m->archive->size, m->package) != m->archive->size)
        return ERR_LIMIT;
    return OK;
}

static enum err store_blob(struct import *m)
{
    struct blob_id blob;
    enum err e = blob_finish(m->writer, &blob);
    if (e == OK)
        e = blob_publish(m->writer);
    TALLOC_FREE(m->writer);
    m->blobs_n++;
    return e == OK ? blob_keep(m->cli->db, &blob, 1) : e;
}

static enum err store_package(struct import *m)
{
    const char *files = m->cli->config->files.dir;
    struct package package = {.dir = package_path(m->cli->ctx, files, m->sha256)};
    memcpy(package.hash, m->sha256, PACKAGE_HASH);
    bool ok = fflush(m->package) == 0 && lseek(fileno(m->package), 0, SEEK_SET) == 0;
    enum err e = ok ? package_unpack(fileno(m->package), m->sha256, files) : ERR_LIMIT;
    fclose(m->package);
    m->package = NULL;
    m->packages_n++;
    return e == OK && blob_store_objects(m->blobs) ? package_to_blob(m->cli, m->blobs, &package) : e;
}

static enum err end_bytes(struct import *m)
{
    uint8_t hash[BLOB_HASH];
    if (!m->is_open)
        return OK;
    m->is_open = false;
    crypto_hash_sha256_final(&m->hash, hash);
    if (memcmp(hash, m->sha256, BLOB_HASH) != 0)
        return ERR_INVALID;
    if (!m->writes)
        return OK;
    return m->kind == ARCHIVE_PACKAGE ? store_package(m) : store_blob(m);
}

/* --- the passes --- */

static enum err take_record(struct import *m)
{
    enum archive_kind kind = m->archive->kind;
    enum err e = kind == ARCHIVE_BYTES ? OK : end_bytes(m);
    if (e == OK && kind != ARCHIVE_ROW)
        e = end_table(m);
    if (e != OK)
        return e;
    switch (kind) {
    case ARCHIVE_TABLE:
        return begin_table(m);
    case ARCHIVE_ROW:
        return take_row(m);
    case ARCHIVE_BLOB:
    case ARCHIVE_PACKAGE:
        return begin_bytes(m);
    case ARCHIVE_BYTES:
        return take_bytes(m);
    case ARCHIVE_END:
        return OK;
    default:
        return ERR_INVALID;
    }
}

/* Each table that goes along is in the file, and the workspace once. */
static enum err check_counts(const struct import *m)
{
    for (const struct workspace_table *t = workspace_tables; t->name; t++) {
        int64_t n = m->counts[t - workspace_tables];
        bool is_one = strcmp(t->name, "accounts") == 0 || strcmp(t->name, "workspaces") == 0 ||
                      strcmp(t->name, "tenants") == 0;
        if (t->where && (n < 0 || (is_one && n != 1)))
            return ERR_INVALID;
    }
    return OK;
}

static enum err pass(struct import *m, bool writes)
{
    m->writes = writes;
    m->rows_n = m->blobs_n = m->packages_n = 0;
    memset(m->counts, 0xff, sizeof m->counts);
    enum err e = archive_open(m->cli->ctx, m->path, m->keys.transfer, &m->archive);
    if (e == OK)
        e = read_head(m);
    while (e == OK && m->archive->kind != ARCHIVE_END) {
        e = archive_next(m->archive);
        if (e == OK)
            e = take_record(m);
    }
    m->owned = NULL; /* of the archive */
    TALLOC_FREE(m->archive);
    TALLOC_FREE(m->rows);
    TALLOC_FREE(m->writer);
    if (m->package)
        fclose(m->package);
    m->package = NULL;
    return e == OK ? check_counts(m) : e;
}

/* --- before and after --- */

struct frozen_look {
    const id *workspace;
    bool exists;
    struct workspace_fence fence;
};

static enum err look_work(struct db_tx *tx, void *arg)
{
    struct frozen_look *look = arg;
    enum err e = workspace_lock_frozen(tx, look->workspace, &look->fence);
    look->exists = e == OK;
    if (e != OK || look->fence.frozen != FROZEN_IMPORTING)
        return e == ERR_NOT_FOUND ? OK : e;
    /* from this COMMIT on, an earlier import that still works changes nothing more */
    return workspace_take(tx, &look->fence, FROZEN_IMPORTING);
}

static enum err prepare(struct import *m)
{
    struct frozen_look look = {.workspace = &m->workspace};
    enum err e = db_transaction(m->cli->db, look_work, &look);
    if (e == OK && look.exists && look.fence.frozen != FROZEN_IMPORTING)
        return refuse(m, "is of a workspace that is here already", m->workspace.text);
    /* what an interrupted import has left may be of an older file */
    int64_t removed;
    return e == OK && look.exists ? workspace_remove_rows(m->cli->db, &look.fence, &removed) : e;
}

static enum err compare_counts(struct import *m)
{
    enum err e = OK;
    int64_t n;
    for (const struct workspace_table *t = workspace_tables; e == OK && t->name; t++) {
        if (!t->where)
            continue;
        e = db_copy_count(m->cli->db, t->name, t->where, &m->workspace, &n);
        int64_t wanted = m->counts[t - workspace_tables];
        if (e == OK && n != wanted && !(t->ages && n < wanted)) {
            cli_fail(m->cli, "%s has %lld rows of the workspace and not %lld as the file: repeat the import",
                     t->name, (long long)n, (long long)wanted);
            e = ERR_DENIED;
        }
    }
    return e;
}

static enum err open_workspace(struct import *m)
{
    const struct deed_detail detail[] = {{"from_cell", m->cell && *m->cell ? m->cell : NULL}, {0}};
    enum err e =
        workspace_open(m->cli->db, &(struct workspace_opening){m->workspace, FROZEN_IMPORTING, &m->fence,
                                                               "workspace.import", detail});
    return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
}

/* What the workspace is now, another import has made of it. */
static enum err say_taken_over(struct import *m)
{
    cli_fail(m->cli, "another import of the workspace has begun; when no other one works, repeat it");
    return ERR_DENIED;
}

static enum err write_all(struct import *m)
{
    enum err e = prepare(m);
    m->fence.workspace = m->workspace;
    if (e == OK)
        e = pass(m, true);
    if (e == OK)
        e = compare_counts(m);
    if (e == OK)
        e = open_workspace(m);
    return e == ERR_CONFLICT ? say_taken_over(m) : e;
}

static int import_file(struct import *m)
{
    enum { TOKEN_BITS = 61 }; /* accounts.touched has room to grow */
    uint64_t random;
    randombytes_buf(&random, sizeof random);
    m->fence.frozen = FROZEN_IMPORTING;
    m->fence.touched = (int64_t)(random >> (64 - TOKEN_BITS));
    snprintf(m->token_text, sizeof m->token_text, "%lld", (long long)m->fence.touched);
    enum err e = pass(m, false);
    if (e == ERR_INVALID)
        e = refuse(m, "is damaged, no file of this format, or not written with the key of --key-file", NULL);
    if (e == ERR_NOT_FOUND)
        e = refuse(m, "cannot be read", strerror(errno));
    if (e == OK)
        e = write_all(m);
    return e == OK           ? CLI_DONE
           : e == ERR_DENIED ? CLI_FAILED
                             : cli_fail_err(m->cli, e, "importing the workspace");
}

int cmd_workspace_import(struct cli *cli, int argc, char **argv)
{
    const char *key_file = NULL;
    const struct cli_option options[] = {{"key-file", .text_r = &key_file, .required = true}, {0}};
    struct import m = {.cli = cli};
    if (!cli_parse(cli, argc, argv, options, &m.path, 1))
        return CLI_USAGE;
    if (!cli_open(cli, MOVE_STATEMENT_S))
        return CLI_FAILED;
    m.blobs = blob_store_open(cli->ctx, cli->config, NULL);
    if (!m.blobs)
        return cli_fail(cli, "the files below %s cannot be written", cli->config->files.dir);
    if (!workspace_load_keys(cli, key_file, false, &m.keys))
        return CLI_FAILED;
    int code = import_file(&m);
    sodium_memzero(&m.keys, sizeof m.keys);
    if (code != CLI_DONE)
        return code;
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace", m.workspace.text);
    cli_add_number(o, "rows", m.rows_n);
    cli_add_number(o, "blobs", m.blobs_n);
    cli_add_number(o, "packages", m.packages_n);
    return cli_print(cli, o);
}
