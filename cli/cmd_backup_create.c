/* `millrace backup create`: docs/backup.md says why the parts are copied in this order. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "backup/folder.h"
#include "backup/program.h"
#include "backup/store_copy.h"
#include "base/clock.h"
#include "base/version.h"
#include "cli/backup_keys.h"
#include "cli/commands.h"
#include "deed/deed.h"

enum { STATEMENT_S = 60, KEEP_MAX = 10000 };

struct create {
    struct cli *cli;
    void *ctx;
    const char *to, *db_user;
    /* 0: all backups are kept */
    int64_t keep;
    const char *name, *whole, *partial, *log, *datadir;
    bool has_binlog;
    struct manifest m;
    struct store_copy copy;
    size_t removed;
};

static const char *failed(void *ctx, const char *path)
{
    return talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
}

/* --- what is copied --- */

/* The number of the last migration. */
static const char *read_schema(struct create *c, int64_t *schema_r)
{
    struct db_rows *rows;
    enum err e = db_run(c->cli->db, c->ctx, SQL_MIGRATION_LIST, NULL, 0, &rows);
    if (e != OK)
        return talloc_asprintf(c->ctx, "the migrations cannot be read: %s", err_name(e));
    *schema_r = 0;
    for (size_t i = 0; i < rows->count; i++) {
        if (db_cell(rows, i, MIGRATION_LIST_APPLIED_MS)->is_null)
            return talloc_asprintf(c->ctx, "migration %s has not ended",
                                   db_str(rows, i, MIGRATION_LIST_NAME));
        *schema_r = db_int(rows, i, MIGRATION_LIST_NUMBER);
    }
    return NULL;
}

static const char *read_server(struct create *c)
{
    struct db_rows *rows;
    enum err e = db_run(c->cli->db, c->ctx, SQL_BACKUP_SERVER, NULL, 0, &rows);
    if (e != OK)
        return talloc_asprintf(c->ctx, "the server's variables cannot be read: %s", err_name(e));
    c->datadir = db_str(rows, 0, BACKUP_SERVER_DATADIR);
    c->m.server = db_str(rows, 0, BACKUP_SERVER_VERSION);
    c->has_binlog = db_int(rows, 0, BACKUP_SERVER_LOG_BIN) != 0;
    return read_schema(c, &c->m.schema);
}

/* Who owns a folder, by name or else by number. */
static const char *read_owner(struct create *c, const char *path, const char **user_r, const char **group_r,
                              int64_t *mode_r)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return failed(c->ctx, path);
    const struct passwd *user = getpwuid(st.st_uid);
    const struct group *group = getgrgid(st.st_gid);
    *user_r = user ? talloc_strdup(c->ctx, user->pw_name) : talloc_asprintf(c->ctx, "%u", st.st_uid);
    *group_r = group ? talloc_strdup(c->ctx, group->gr_name) : talloc_asprintf(c->ctx, "%u", st.st_gid);
    *mode_r = st.st_mode & 07777;
    return NULL;
}

static const char *read_owners(struct create *c)
{
    int64_t unused;
    const char *why = read_owner(c, c->datadir, &c->m.datadir_owner, &c->m.datadir_group, &unused);
    return why ? why : read_owner(c, c->copy.from, &c->m.files_owner, &c->m.files_group, &c->m.files_mode);
}

/* --- the database --- */

static const char *copy_database(struct create *c)
{
    const char *const argv[] = {
        "mariadb-backup",
        "--no-defaults",
        "--backup",
        talloc_asprintf(c->ctx, "--socket=%s", c->cli->config->database.socket),
        talloc_asprintf(c->ctx, "--user=%s", c->db_user),
        talloc_asprintf(c->ctx, "--target-dir=%s/database", c->partial),
        NULL,
    };
    c->m.began_ms = clock_wall_ms();
    const char *why = program_run(c->ctx, argv, c->log);
    c->m.copied_ms = clock_wall_ms();
    return why;
}

static const char *prepare_database(struct create *c)
{
    const char *const argv[] = {"mariadb-backup", "--no-defaults", "--prepare",
                                talloc_asprintf(c->ctx, "--target-dir=%s/database", c->partial), NULL};
    return program_run(c->ctx, argv, c->log);
}

/* "bin.000003\t1234\t0-1-99": file, position and GTID. */
static const char *read_position(struct create *c)
{
    const char *path = talloc_asprintf(c->ctx, "%s/database/xtrabackup_binlog_info", c->partial);
    char line[1024] = "", *end = NULL;
    if (!c->has_binlog)
        return NULL;
    FILE *f = fopen(path, "re");
    if (f && !fgets(line, sizeof line, f))
        line[0] = '\0';
    if (f)
        fclose(f);
    char *tab = strchr(line, '\t');
    if (tab) {
        *tab = '\0';
        c->m.binlog_file = talloc_strdup(c->ctx, line);
        c->m.binlog_position = strtoll(tab + 1, &end, 10);
    }
    return tab && end != tab + 1 && c->m.binlog_position > 0
               ? NULL
               : talloc_asprintf(c->ctx, "%s has no position of the binary log", path);
}

static const char *sum_database_file(void *arg, const char *path)
{
    struct create *c = arg;
    void *scratch = talloc_new(c->ctx);
    struct tree_sum sum;
    const char *name = talloc_asprintf(scratch, "database/%s", path);
    const char *why = tree_copy_file(c->ctx, talloc_asprintf(scratch, "%s/%s", c->partial, name), NULL, &sum);
    if (!why)
        sums_add(c->copy.sums, name, &sum);
    talloc_free(scratch);
    return why;
}

/* --- the steps --- */

static const char *copy_all(struct create *c)
{
    struct blob_store *store = blob_store_open_existing(c->ctx, c->cli->config);
    struct blob_hold *hold = store ? blob_store_hold(c->ctx, store) : NULL;
    if (!hold)
        return failed(c->ctx, c->copy.from);
    const char *why = copy_database(c);
    if (!why)
        why = store_copy(c->ctx, store, &c->copy);
    talloc_free(hold);
    talloc_free(store);
    return why;
}

static const char *end_sums(struct create *c)
{
    const char *path = talloc_asprintf(c->ctx, "%s/" MANIFEST_SUMS, c->partial);
    struct tree_sum sum;
    char hex[TREE_SUM_TEXT + 1];
    const char *why =
        tree_visit(c->ctx, talloc_asprintf(c->ctx, "%s/database", c->partial), sum_database_file, c);
    if (!why)
        why = sums_end(c->ctx, c->copy.sums, &c->m.files, &c->m.bytes);
    if (!why)
        why = tree_copy_file(c->ctx, path, NULL, &sum);
    if (!why)
        c->m.sums_sha256 = talloc_strdup(c->ctx, sodium_bin2hex(hex, sizeof hex, sum.sha256, TREE_SUM));
    return why;
}

/* If a migration ran during the copy, nobody could tell which schema the backup has. */
static const char *check_schema_again(struct create *c)
{
    int64_t schema;
    const char *why = read_schema(c, &schema);
    return !why && schema != c->m.schema
               ? talloc_asprintf(c->ctx, "the database was migrated during the backup")
               : why;
}

/* The manifest comes last, when everything else is on the disk, and then the folder gets its name. */
static const char *make_whole(struct create *c)
{
    c->m.damaged = c->copy.damaged;
    c->m.damaged_n = c->copy.damaged_n;
    const char *why = tree_sync(c->ctx, c->partial);
    c->m.ended_ms = clock_wall_ms();
    if (!why)
        why = manifest_write(c->ctx, c->partial, &c->m);
    if (!why)
        why = tree_sync(c->ctx, c->partial);
    if (!why && rename(c->partial, c->whole) != 0)
        why = failed(c->ctx, c->whole);
    return why ? why : tree_sync(c->ctx, c->to);
}

/* Names the new backup, and the newest whole one, to whose blobs it links. */
static const char *begin_folder(struct create *c)
{
    const char **names;
    size_t n;
    const char *why = folder_remove_partial(c->ctx, c->to);
    if (!why)
        why = folder_list(c->ctx, c->to, &names, &n);
    if (why)
        return why;
    c->name = folder_name(c->ctx, clock_wall_ms());
    c->whole = talloc_asprintf(c->ctx, "%s/%s", c->to, c->name);
    c->partial = talloc_asprintf(c->ctx, "%s" FOLDER_PARTIAL, c->whole);
    c->log = talloc_asprintf(c->ctx, "%s/mariadb-backup.log", c->partial);
    c->copy.to = c->partial;
    if (n > 0)
        c->copy.earlier = talloc_asprintf(c->ctx, "%s/%s", c->to, names[n - 1]);
    if (access(c->whole, F_OK) == 0 || mkdir(c->partial, 0700) != 0)
        return talloc_asprintf(c->ctx, "%s exists already, or cannot be made", c->whole);
    c->copy.sums = sums_new(c->ctx, talloc_asprintf(c->ctx, "%s/" MANIFEST_SUMS, c->partial));
    return c->copy.sums ? NULL : failed(c->ctx, c->partial);
}

static const char *make_backup(struct create *c)
{
    const char *(*const steps[])(struct create *) = {read_server,        read_owners,   begin_folder,
                                                     copy_all,           read_position, prepare_database,
                                                     check_schema_again, end_sums,      make_whole};
    const char *why = NULL;
    for (size_t i = 0; !why && i < sizeof steps / sizeof steps[0]; i++)
        why = steps[i](c);
    return why;
}

/* --- afterwards --- */

static enum err record_create(struct db_tx *tx, void *arg)
{
    const struct create *c = arg;
    const struct deed_detail detail[] = {
        {"folder", c->to}, {"bytes", talloc_asprintf(tx->ctx, "%lld", (long long)c->m.bytes)}, {0}};
    return deed_record(tx, "backup.create", NULL, c->name, detail);
}

static json_object *result_json(const struct create *c)
{
    json_object *o = json_object_new_object(), *damaged = json_object_new_array();
    cli_add_text(o, "backup", c->whole);
    cli_add_number(o, "schema", c->m.schema);
    cli_add_time(o, "began_at", c->m.began_ms, true);
    cli_add_time(o, "ended_at", c->m.ended_ms, true);
    cli_add_number(o, "files", c->m.files);
    cli_add_number(o, "bytes", c->m.bytes);
    cli_add_number(o, "blobs", c->copy.blobs);
    cli_add_number(o, "linked_blobs", c->copy.linked);
    cli_add_text(o, "binlog_file", c->m.binlog_file);
    if (c->m.binlog_file)
        cli_add_number(o, "binlog_position", c->m.binlog_position);
    cli_add_number(o, "removed_backups", (int64_t)c->removed);
    for (size_t i = 0; i < c->copy.damaged_n; i++) {
        json_object *row = json_object_new_object();
        cli_add_text(row, "blob", c->copy.damaged[i]);
        json_object_array_add(damaged, row);
    }
    json_object_object_add(o, "damaged", damaged);
    return o;
}

/* The backup is whole: removes old ones, records the deed, and reports. */
static int finish(struct create *c)
{
    struct cli *cli = c->cli;
    const char *why = c->keep > 0 ? folder_keep(c->ctx, c->to, (size_t)c->keep, &c->removed) : NULL;
    enum err e = db_transaction(cli->db, record_create, c);
    cli_print(cli, result_json(c));
    if (why)
        return cli_fail(cli, "%s is whole, but older backups were not removed: %s", c->whole, why);
    if (e != OK)
        return cli_fail_err(cli, e, "the backup is whole, but it was not recorded in the audit log");
    return c->copy.damaged_n == 0
               ? CLI_DONE
               : cli_fail(cli, "%zu blobs do not have the bytes of their names and were left out",
                          c->copy.damaged_n);
}

int cmd_backup_create(struct cli *cli, int argc, char **argv)
{
    const struct passwd *own = getpwuid(geteuid());
    struct create c = {.cli = cli, .ctx = cli->ctx, .db_user = own ? own->pw_name : "root"};
    const char *keep = NULL;
    const struct cli_option options[] = {{"to", .text_r = &c.to, .required = true},
                                         {"keep", .text_r = &keep},
                                         {"db-user", .text_r = &c.db_user},
                                         {0}};
    int lock;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (keep && !cli_number(cli, "--keep", keep, 1, KEEP_MAX, &c.keep)))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S) || !backup_read_keys(cli, &c.m.secrets_key, &c.m.webhooks_key))
        return CLI_FAILED;
    if (strcmp(cli->config->blob.store, "directory") != 0)
        return cli_fail(
            cli,
            "no backup was made: with blob.store = %s the files are in an object store; docs/backup.md "
            "says how that is kept",
            cli->config->blob.store);
    c.m.millrace = MILLRACE_VERSION;
    c.m.database = cli->config->database.name;
    c.copy.from = cli->config->files.dir;
    const char *why = folder_lock(cli->ctx, c.to, &lock);
    if (!why)
        why = make_backup(&c);
    int code = why ? cli_fail(cli, "no backup was made: %s", why) : finish(&c);
    if (lock >= 0)
        close(lock);
    return code;
}
