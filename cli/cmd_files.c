/* millrace files store: copies bytes from files.dir to the object store. */
#include <fcntl.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "blob/blob_rows.h"
#include "cli/commands.h"
#include "skill/package.h"

enum { PAGE = 500 /* the LIMIT of the queries */, STATEMENT_S = 60 };

struct moving {
    struct cli *cli;
    struct blob_store *blobs;
    int64_t blobs_n, packages_n, elsewhere_n;
    uint8_t after[BLOB_HASH];
};

/* Publishes what the writer holds and lets the row name it. Nothing happens if another process was faster;
 * the sweep removes the object. */
static enum err adopt(struct moving *m, struct blob_writer *w, const struct blob_id *blob)
{
    enum err e = blob_publish(w);
    const struct db_value args[] = {db_id(&blob->object), db_bytes(blob->sha256, BLOB_HASH)};
    return e == OK ? db_run(m->cli->db, m->cli->ctx, SQL_BLOB_ADOPT, args, 2, NULL) : e;
}

static enum err store_blob(struct moving *m, const uint8_t *sha256)
{
    void *ctx = talloc_new(NULL);
    struct blob_writer *w = NULL;
    struct blob_id blob;
    const char *path = blob_path(ctx, m->blobs, sha256);
    enum err e = blob_copy_file(ctx, m->blobs, AT_FDCWD, path, INT64_MAX, &w, &blob);
    if (e == OK && memcmp(blob.sha256, sha256, BLOB_HASH) != 0) {
        log_warn("blob.wrong_bytes", "path=%s", path);
        e = ERR_INVALID;
    }
    if (e == OK)
        e = adopt(m, w, &blob);
    m->blobs_n += e == OK;
    m->elsewhere_n += e == ERR_INVALID;
    talloc_free(ctx);
    return e == ERR_INVALID ? OK : e;
}

static enum err store_blobs(struct moving *m, bool *more_r)
{
    void *ctx = talloc_new(NULL);
    uint8_t from[BLOB_HASH];
    memcpy(from, m->after, BLOB_HASH);
    struct db_value after = db_bytes(from, BLOB_HASH);
    struct db_rows *rows;
    enum err e = db_run(m->cli->db, ctx, SQL_BLOB_PAGE, &after, 1, &rows);
    *more_r = e == OK && rows->count == PAGE;
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        const uint8_t *sha256 = (const uint8_t *)db_str(rows, i, BLOB_PAGE_SHA256);
        memcpy(m->after, sha256, BLOB_HASH);
        if (db_cell(rows, i, BLOB_PAGE_OBJECT)->is_null && db_int(rows, i, BLOB_PAGE_IS_REFERENCED))
            e = store_blob(m, sha256);
    }
    talloc_free(ctx);
    return e;
}

static enum err store_package(struct moving *m, const uint8_t *hash)
{
    void *ctx = talloc_new(NULL);
    struct blob_id known = {0};
    struct package package = {.dir = package_path(ctx, m->cli->config->files.dir, hash)};
    memcpy(known.sha256, hash, BLOB_HASH);
    memcpy(package.hash, hash, PACKAGE_HASH);
    enum err e = blob_find_objects(m->cli->db, ctx, &known, 1);
    if (e == OK && !id_is_set(&known.object)) {
        if (access(package.dir, R_OK) != 0) {
            m->elsewhere_n++;
        } else {
            e = package_to_blob(m->cli, m->blobs, &package);
            m->packages_n += e == OK;
        }
    }
    talloc_free(ctx);
    return e;
}

static enum err store_packages(struct moving *m, bool *more_r)
{
    void *ctx = talloc_new(NULL);
    uint8_t from[BLOB_HASH];
    memcpy(from, m->after, BLOB_HASH);
    struct db_value after = db_bytes(from, BLOB_HASH);
    struct db_rows *rows;
    enum err e = db_run(m->cli->db, ctx, SQL_SKILL_HASHES, &after, 1, &rows);
    *more_r = e == OK && rows->count == PAGE;
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        memcpy(m->after, db_str(rows, i, SKILL_HASHES_HASH), BLOB_HASH);
        e = store_package(m, m->after);
    }
    talloc_free(ctx);
    return e;
}

int cmd_files_store(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    struct moving m = {.cli = cli, .blobs = blob_store_open(cli->ctx, cli->config, NULL)};
    if (!m.blobs || !blob_store_objects(m.blobs))
        return cli_fail(cli, "there is no object store to copy to: set blob.store = s3 first");
    enum err e = OK;
    for (bool more = true; e == OK && more;)
        e = store_blobs(&m, &more);
    memset(m.after, 0, sizeof m.after);
    for (bool more = true; e == OK && more;)
        e = store_packages(&m, &more);
    if (e != OK)
        return cli_fail_err(cli, e, "copying to the object store");
    json_object *o = json_object_new_object();
    cli_add_number(o, "blobs", m.blobs_n);
    cli_add_number(o, "packages", m.packages_n);
    cli_add_number(o, "not_on_this_host", m.elsewhere_n);
    return cli_print(cli, o);
}
