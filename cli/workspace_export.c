/* millrace workspace export: freezes a workspace on which nothing is going on, and writes all that it has to
 * a file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "blob/blob_rows.h"
#include "cli/archive.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/workspace_move.h"
#include "deed/deed.h"
#include "mariadb/table_copy.h"
#include "skill/package.h"
#include "json/json.h"

enum { WAIT_S = 60, WAIT_MAX_S = 7 * 86400, LOOK_MS = 500, BLOCKERS = 9, HASHES_FIRST = 1024 };

/* Hashes of blobs, each of BLOB_HASH bytes. */
struct hashes {
    uint8_t *at;
    size_t n, room;
};

struct export
{
    struct cli *cli;
    id workspace;
    const char *name;
    struct seal_keys keys;
    struct archive *archive;
    struct blob_store *blobs;
    int64_t rows_n, blobs_n, packages_n;
    /* that the copied rows name */
    struct hashes hashes;
    /* The current table. hash_column: its column with the hash of a blob, or -1. */
    const char *table, *columns;
    int hash_column;
    /* what keeps the workspace from being frozen; NULL: nothing */
    char *blockers;
};

/* --- freezing --- */

static enum err look_for_blockers(struct db_tx *tx, struct export *x)
{
    struct db_value args[BLOCKERS];
    struct db_rows *rows;
    static const char *const names[BLOCKERS] = {
        [WORKSPACE_MOVE_BLOCKERS_EXECUTIONS] = "executions that have not ended",
        [WORKSPACE_MOVE_BLOCKERS_STOPS] = "stops in progress",
        [WORKSPACE_MOVE_BLOCKERS_PURGES] = "purges in progress",
        [WORKSPACE_MOVE_BLOCKERS_BULK_JOBS] = "bulk jobs that have not ended",
        [WORKSPACE_MOVE_BLOCKERS_MESSAGES] = "messages to webhooks that are not made into deliveries",
        [WORKSPACE_MOVE_BLOCKERS_DELIVERIES] = "pending deliveries to webhooks",
        [WORKSPACE_MOVE_BLOCKERS_SENDS] = "deliveries that are being sent",
        [WORKSPACE_MOVE_BLOCKERS_OCCURRENCES] = "schedules with an occurrence that waits or a backfill",
        [WORKSPACE_MOVE_BLOCKERS_LEDGER] =
            "rows of the ledger that are not in the sums or have no number yet",
    };
    for (int i = 0; i < BLOCKERS; i++)
        args[i] = db_id(&x->workspace);
    enum err e = db_run(tx->db, tx->ctx, SQL_WORKSPACE_MOVE_BLOCKERS, args, BLOCKERS, &rows);
    for (size_t i = 0; e == OK && i < BLOCKERS; i++) {
        int64_t n = db_int(rows, 0, i);
        if (n > 0)
            x->blockers = talloc_asprintf(x->cli->ctx, "%s%s%lld %s", x->blockers ? x->blockers : "",
                                          x->blockers ? ", " : "", (long long)n, names[i]);
    }
    return e;
}

/* Acceptance holds the account's lock: it comes before, and what it has started is found here, or after, and
 * finds the account frozen. */
static enum err freeze_work(struct db_tx *tx, void *arg)
{
    struct export *x = arg;
    struct workspace_fence fence;
    x->blockers = NULL;
    enum err e = workspace_lock_frozen(tx, &x->workspace, &fence);
    if (e == OK && fence.frozen != FROZEN_NOT && fence.frozen != FROZEN_EXPORTED)
        return ERR_CONFLICT;
    if (e == OK)
        e = look_for_blockers(tx, x);
    if (e != OK || x->blockers || fence.frozen == FROZEN_EXPORTED)
        return e;
    e = workspace_take(tx, &fence, FROZEN_EXPORTED);
    return e == OK ? deed_record(tx, "workspace.export", &x->workspace, x->workspace.text, NULL) : e;
}

static void pause_ms(int64_t ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Waits until nothing of the workspace is in progress, and freezes it unless it is frozen already. */
static int freeze_at_rest(struct export *x, int64_t wait_s, const char *state)
{
    int64_t until_ms = clock_boot_ms() + wait_s * 1000;
    for (;;) {
        enum err e = db_transaction(x->cli->db, freeze_work, x);
        if (e == ERR_CONFLICT)
            return cli_fail(x->cli, "the workspace is being imported or removed here: repeat that first");
        if (e != OK)
            return cli_fail_err(x->cli, e, "freezing the workspace");
        if (!x->blockers)
            return CLI_DONE;
        if (clock_boot_ms() >= until_ms)
            return cli_fail(x->cli,
                            "the workspace has %s; it %s. Stop what starts runs, wait longer (--wait), or "
                            "end them",
                            x->blockers, state);
        pause_ms(LOOK_MS);
    }
}

static int freeze(struct export *x, int64_t wait_s)
{
    const struct config *c = x->cli->config;
    int code = freeze_at_rest(x, wait_s, "was not frozen");
    if (code != CLI_DONE)
        return code;
    /* What people change is refused from now on (deed_hold). What the daemons do by themselves, and have
     * begun because they found the account not frozen, ends within this time. */
    pause_ms((c->database.timeout_s + c->database.settle_s + 2) * 1000);
    /* what these, or the retention, have begun in the meantime */
    return freeze_at_rest(x, wait_s > WAIT_S ? wait_s : WAIT_S, "is frozen, and nothing was written");
}

/* --- rows --- */

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, BLOB_HASH);
}

static void sort_hashes(struct hashes *h)
{
    size_t kept = 0;
    if (h->n > 0)
        qsort(h->at, h->n, BLOB_HASH, compare_hashes);
    for (size_t i = 0; i < h->n; i++) {
        if (kept == 0 || memcmp(h->at + (kept - 1) * BLOB_HASH, h->at + i * BLOB_HASH, BLOB_HASH) != 0)
            memmove(h->at + kept++ * BLOB_HASH, h->at + i * BLOB_HASH, BLOB_HASH);
    }
    h->n = kept;
}

/* Many rows may name the same bytes: what is there twice is removed before the array grows. */
static void add_hash(void *ctx, struct hashes *h, const char *hash)
{
    if (h->n == h->room) {
        sort_hashes(h);
        if (h->n >= h->room / 2) {
            h->room = h->room ? 2 * h->room : HASHES_FIRST;
            h->at = talloc_realloc(ctx, h->at, uint8_t, h->room * BLOB_HASH);
        }
    }
    memcpy(h->at + h->n++ * BLOB_HASH, hash, BLOB_HASH);
}

static enum err put_row(void *arg, const struct span *cells, size_t n)
{
    struct export *x = arg;
    void *ctx = talloc_new(NULL);
    struct span own[ARCHIVE_CELLS_MAX];
    memcpy(own, cells, sizeof *cells * n);
    enum err e = workspace_reseal(ctx, &x->keys, true, &x->workspace, x->table, x->columns, own);
    if (e == OK)
        e = archive_put_row(x->archive, own, n);
    x->rows_n++;
    if (x->hash_column >= 0 && cells[x->hash_column].at && cells[x->hash_column].size == BLOB_HASH)
        add_hash(x->cli->ctx, &x->hashes, cells[x->hash_column].at);
    talloc_free(ctx);
    return e;
}

static enum err put_table(struct export *x, const struct workspace_table *t)
{
    char *columns;
    size_t n;
    enum err e = db_copy_columns(x->cli->db, x->cli->ctx, t->name, &columns, &n);
    if (e != OK)
        return e;
    x->table = t->name;
    x->columns = columns;
    x->hash_column = workspace_column(columns, workspace_hash_column(t->name));
    char *head = talloc_asprintf(x->cli->ctx, "%s\n%s", t->name, columns);
    e = archive_put(x->archive, ARCHIVE_TABLE, head, strlen(head));
    return e == OK ? db_copy_out(x->cli->db, t->name, columns, t->where, &x->workspace, put_row, x) : e;
}

static enum err put_tables(struct export *x)
{
    enum err e = db_snapshot_begin(x->cli->db);
    for (const struct workspace_table *t = workspace_tables; e == OK && t->name; t++) {
        if (t->where)
            e = put_table(x, t);
    }
    db_snapshot_end(x->cli->db);
    return e;
}

/* --- bytes --- */

static enum err put_part(void *arg, const void *bytes, size_t size)
{
    struct export *x = arg;
    return archive_put(x->archive, ARCHIVE_BYTES, bytes, size);
}

static enum err put_file(struct export *x, int fd)
{
    char *part = talloc_size(NULL, MOVE_PART);
    enum err e = OK;
    ssize_t n = 0;
    while (e == OK && (n = read(fd, part, MOVE_PART)) > 0)
        e = put_part(x, part, (size_t)n);
    talloc_free(part);
    return n < 0 ? ERR_INTERNAL : e;
}

static enum err put_blob(struct export *x, enum archive_kind kind, const uint8_t *sha256)
{
    int fd;
    enum err e = blob_read(x->cli->db, x->blobs, sha256, &fd);
    if (e != OK)
        return e;
    e = archive_put(x->archive, kind, sha256, BLOB_HASH);
    if (e == OK)
        e = put_file(x, fd);
    close(fd);
    return e;
}

static enum err put_blobs(struct export *x)
{
    enum err e = OK;
    sort_hashes(&x->hashes);
    for (size_t i = 0; e == OK && i < x->hashes.n; i++)
        e = put_blob(x, ARCHIVE_BLOB, x->hashes.at + i * BLOB_HASH);
    x->blobs_n = (int64_t)x->hashes.n;
    return e;
}

/* A package is a folder of this host, or an object of the store. */
static enum err put_package(struct export *x, const uint8_t *hash)
{
    void *ctx = talloc_new(NULL);
    struct package *package;
    struct json_problems *p = json_problems_new(ctx);
    const char *dir = package_path(ctx, x->cli->config->files.dir, hash);
    enum err e;
    if (access(dir, R_OK) != 0) {
        e = put_blob(x, ARCHIVE_PACKAGE, hash);
    } else {
        e = package_read(ctx, dir, &package, p);
        if (e == OK && memcmp(package->hash, hash, PACKAGE_HASH) != 0)
            e = ERR_CONFLICT;
        if (e == OK)
            e = archive_put(x->archive, ARCHIVE_PACKAGE, hash, PACKAGE_HASH);
        if (e == OK)
            e = package_archive(package, put_part, x);
    }
    x->packages_n++;
    talloc_free(ctx);
    return e;
}

static enum err put_packages(struct export *x)
{
    struct db_value arg = db_id(&x->workspace);
    struct db_rows *rows;
    enum err e = db_run(x->cli->db, x->cli->ctx, SQL_WORKSPACE_PACKAGES, &arg, 1, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        e = put_package(x, (const uint8_t *)db_str(rows, i, WORKSPACE_PACKAGES_HASH));
    return e;
}

/* --- the command --- */

static enum err put_head(struct export *x)
{
    char at[CLOCK_TEXT_SIZE];
    int64_t schema;
    enum err e = workspace_schema(x->cli->db, x->cli->ctx, &schema);
    json_object *o = json_own(x->cli->ctx, json_object_new_object());
    cli_add_text(o, "workspace", x->workspace.text);
    cli_add_text(o, "cell", x->cli->config->cell.name);
    cli_add_number(o, "schema", schema);
    cli_add_text(o, "exported_at", clock_text_z(clock_wall_ms(), at));
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    return e == OK ? archive_put(x->archive, ARCHIVE_HEAD, text, strlen(text)) : e;
}

static int write_file(struct export *x, const char *path)
{
    enum err e = archive_create(x->cli->ctx, path, x->keys.transfer, &x->archive);
    if (e == ERR_CONFLICT)
        return cli_fail(x->cli, "%s exists already", path);
    if (e != OK)
        return cli_fail(x->cli, "%s cannot be created: %s", path, strerror(errno));
    e = put_head(x);
    if (e == OK)
        e = put_tables(x);
    if (e == OK)
        e = put_blobs(x);
    if (e == OK)
        e = put_packages(x);
    if (e == OK)
        e = archive_finish(x->archive);
    if (e != OK)
        (void)unlink(path);
    if (e == ERR_DENIED)
        return cli_fail(x->cli, "a row of %s is sealed by another key than that of the settings", x->table);
    if (e == ERR_NOT_FOUND)
        return cli_fail(x->cli, "bytes of a file or a skill are missing: see the log, and `millrace audit`");
    return e == OK ? CLI_DONE : cli_fail_err(x->cli, e, "writing the file");
}

int cmd_workspace_export(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *key_file = NULL, *wait_text = NULL, *path;
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"key-file", .text_r = &key_file, .required = true},
                                         {"wait", .text_r = &wait_text},
                                         {0}};
    struct export x = {.cli = cli};
    int64_t wait_s = WAIT_S;
    if (!cli_parse(cli, argc, argv, options, &path, 1) ||
        (wait_text && !cli_number(cli, "--wait", wait_text, 0, WAIT_MAX_S, &wait_s)))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, MOVE_STATEMENT_S, text, &x.workspace);
    if (code != CLI_DONE)
        return code;
    if (access(path, F_OK) == 0)
        return cli_fail(cli, "%s exists already", path);
    x.blobs = blob_store_open_existing(cli->ctx, cli->config);
    if (!x.blobs)
        return cli_fail(cli, "the files below %s cannot be read", cli->config->files.dir);
    if (!workspace_load_keys(cli, key_file, true, &x.keys))
        return CLI_FAILED;
    code = freeze(&x, wait_s);
    if (code == CLI_DONE)
        code = write_file(&x, path);
    sodium_memzero(&x.keys, sizeof x.keys);
    if (code != CLI_DONE)
        return code;
    int64_t unsent;
    enum err e = workspace_count_unsent(cli->db, cli->ctx, &x.workspace, &unsent);
    if (e != OK)
        return cli_fail_err(cli, e, "the file is complete; reading what the usage push has sent");
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace", x.workspace.text);
    cli_add_text(o, "file", path);
    cli_add_number(o, "rows", x.rows_n);
    cli_add_number(o, "blobs", x.blobs_n);
    cli_add_number(o, "packages", x.packages_n);
    cli_add_number(o, "push_rows_left", unsent);
    return cli_print(cli, o);
}
