/* `millrace backup verify` and `restore`. Both compare the files with their sums, start a server of their own
 * on a copy of the database, bring it to this build's schema, and audit it; restore then puts the copy in
 * place. docs/backup.md describes them. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "backup/binlog.h"
#include "backup/folder.h"
#include "backup/manifest.h"
#include "backup/program.h"
#include "backup/scratch.h"
#include "backup/store_copy.h"
#include "base/clock.h"
#include "cli/audit_report.h"
#include "cli/backup_keys.h"
#include "cli/commands.h"
#include "deed/deed.h"
#include "mariadb/migrate.h"

enum { STATEMENT_S = 3600, MIGRATE_WAIT_S = 1, GRACE_S = 30, PROBLEMS_MAX = 20, AUDIT_CONNECTIONS = 2 };

struct proof {
    struct cli *cli;
    void *ctx;
    const char *backup;
    struct manifest *m;
    /* where the database is copied to, and the files, or NULL: they are only read */
    const char *datadir, *files;
    const char *log;
    int64_t listed, bytes;
    const char *problems[PROBLEMS_MAX];
    size_t problems_n;
    const id *acknowledged;
    size_t acknowledged_n;
    /* restore only */
    const char *binlogs;
    /* 0: to their end */
    int64_t until_ms;
    /* records the restore in the audit log of the copy */
    bool records;
    struct audit *audit;
};

/* --- the files and their sums --- */

static void add_problem(struct proof *p, const char *text)
{
    if (p->problems_n < PROBLEMS_MAX)
        p->problems[p->problems_n++] = text;
}

static const char *check_file(void *arg, const char *path, const uint8_t *sha256)
{
    static const char database[] = "database/";
    struct proof *p = arg;
    void *scratch = talloc_new(p->ctx);
    const char *from = talloc_asprintf(scratch, "%s/%s", p->backup, path), *to = NULL;
    struct tree_sum sum;
    if (strncmp(path, database, sizeof database - 1) == 0)
        to = talloc_asprintf(scratch, "%s/%s", p->datadir, path + sizeof database - 1);
    else if (p->files)
        to = talloc_asprintf(scratch, "%s/%s", p->files, path);
    const char *why = tree_copy_file(p->ctx, from, to, &sum);
    if (why)
        add_problem(p, why);
    else if (memcmp(sum.sha256, sha256, TREE_SUM) != 0)
        add_problem(p, talloc_asprintf(p->ctx, "%s was changed: its sum is another", path));
    else
        p->bytes += sum.size;
    p->listed++;
    talloc_free(scratch);
    return p->problems_n == PROBLEMS_MAX ? "there are more problems" : NULL;
}

static const char *count_file(void *arg, const char *path)
{
    static const char *const own[] = {MANIFEST_FILE, MANIFEST_SUMS, "mariadb-backup.log"};
    int64_t *n = arg;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(path, own[i]) == 0)
            return NULL;
    }
    ++*n;
    return NULL;
}

/* Compares what is there with what the manifest says, and copies it. What is wrong is added to the
 * problems. */
static void check_files(struct proof *p)
{
    const char *path = talloc_asprintf(p->ctx, "%s/" MANIFEST_SUMS, p->backup);
    struct tree_sum sum;
    char hex[TREE_SUM_TEXT + 1];
    int64_t there = 0;
    const char *why = tree_copy_file(p->ctx, path, NULL, &sum);
    if (!why && strcmp(sodium_bin2hex(hex, sizeof hex, sum.sha256, TREE_SUM), p->m->sums_sha256) != 0)
        why = talloc_asprintf(p->ctx, "%s was changed: its sum is another", path);
    if (!why)
        why = sums_read(p->ctx, path, check_file, p);
    if (why) {
        add_problem(p, why);
        return;
    }
    why = tree_visit(p->ctx, p->backup, count_file, &there);
    if (why)
        add_problem(p, why);
    else if (there != p->listed)
        add_problem(p, talloc_asprintf(p->ctx, "there are %lld files, and " MANIFEST_SUMS " lists %lld",
                                       (long long)there, (long long)p->listed));
    if (p->listed != p->m->files)
        add_problem(p, talloc_asprintf(p->ctx, MANIFEST_SUMS " lists %lld files, and the manifest says %lld",
                                       (long long)p->listed, (long long)p->m->files));
}

/* --- the binary logs --- */

/* The command that prints what the logs hold. Logs that were not closed are copied beside the data
 * directory. */
static const char *reader_of_logs(struct proof *p, const char ***argv_r)
{
    const char **paths, **argv, *why = NULL;
    char until[64];
    size_t n;
    time_t seconds = p->until_ms / 1000;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(until, sizeof until, "--stop-datetime=%Y-%m-%d %H:%M:%S", &utc);
    if (!p->m->binlog_file)
        return "the backup was made of a server without a binary log";
    why = binlog_list(p->ctx, p->binlogs, p->m->binlog_file, &paths, &n);
    if (why)
        return why;
    argv = *argv_r = talloc_zero_array(p->ctx, const char *, n + 6);
    *argv++ = "mariadb-binlog";
    *argv++ = "--no-defaults";
    *argv++ = "--verify-binlog-checksum";
    *argv++ = talloc_asprintf(p->ctx, "--start-position=%lld", (long long)p->m->binlog_position);
    if (p->until_ms > 0)
        *argv++ = talloc_strdup(p->ctx, until);
    for (size_t i = 0; !why && i < n; i++) {
        const char *copy = talloc_asprintf(p->ctx, "%s.binlogs/%zu", p->datadir, i);
        bool copied;
        why = binlog_copy_open(p->ctx, paths[i], copy, &copied);
        *argv++ = copied ? copy : paths[i];
    }
    return why;
}

/* Without its tables of privileges a server refuses the statements about users that the logs may have. It
 * loads them here, and from then on asks new connections for passwords: this server serves nobody afterwards.
 */
static const char *apply_logs(struct proof *p, const struct scratch *server)
{
    const char *const client[] = {"mariadb",
                                  "--no-defaults",
                                  "--init-command=FLUSH PRIVILEGES",
                                  "--binary-mode",
                                  "--max-allowed-packet=1G",
                                  "--user=root",
                                  talloc_asprintf(p->ctx, "--socket=%s", scratch_socket(server)),
                                  NULL};
    const char **reader, *why = reader_of_logs(p, &reader);
    if (!why)
        why = program_run_pair(p->ctx, reader, client, p->log);
    const char *left = tree_remove(p->ctx, talloc_asprintf(p->ctx, "%s.binlogs", p->datadir));
    return why ? why : left;
}

/* --- the database --- */

/* Backups are restored by the release series that made them: "10.11". */
static const char *check_series(struct proof *p, struct db *db)
{
    struct db_rows *rows;
    enum err e = db_run(db, p->ctx, SQL_BACKUP_SERVER, NULL, 0, &rows);
    if (e != OK)
        return talloc_asprintf(p->ctx, "the server on the copy does not answer: %s", err_name(e));
    const char *here = db_str(rows, 0, BACKUP_SERVER_VERSION), *made = p->m->server;
    const char *dot = strchr(made, '.');
    size_t n = dot ? (size_t)(dot + 1 - made) + strspn(dot + 1, "0123456789") + 1 : strlen(made);
    return strncmp(here, made, n) == 0
               ? NULL
               : talloc_asprintf(p->ctx, "the backup was made of MariaDB %s, and here is %s", made, here);
}

static enum err record_restore(struct db_tx *tx, void *arg)
{
    const struct proof *p = arg;
    char at[CLOCK_TEXT_SIZE];
    const char *name = strrchr(p->backup, '/');
    const struct deed_detail detail[] = {
        {"backup_began_at", clock_text_offset(p->m->began_ms, at)}, {"binlogs", p->binlogs}, {0}};
    return deed_record(tx, "backup.restore", NULL, name ? name + 1 : p->backup, detail);
}

/* The audit of the copy, whose files are below `files_dir`. */
static const char *audit_copy(struct proof *p, struct db *db, const char *files_dir)
{
    const struct audit_options options = {
        .connections = AUDIT_CONNECTIONS,
        .deadline_before_ms = p->m->began_ms - GRACE_S * (int64_t)1000,
        .config = store_config(p->ctx, files_dir),
        .files_are_newer = true,
        .acknowledged = p->acknowledged,
        .acknowledged_n = p->acknowledged_n,
    };
    struct redis *redis = redis_new(p->ctx, p->cli->config->redis.socket);
    enum err e = audit_run(db, redis, p->ctx, &options, &p->audit);
    return e == OK ? NULL : talloc_asprintf(p->ctx, "the audit failed: %s", err_name(e));
}

static const char *advance_with(struct proof *p, struct scratch *server)
{
    const char *why = check_series(p, scratch_db(server, p->m->database, STATEMENT_S));
    return why ? why : apply_logs(p, server);
}

static const char *prove_with(struct proof *p, struct scratch *server)
{
    struct db *db = scratch_db(server, p->m->database, STATEMENT_S);
    const struct migrate_options options = {.wait_s = MIGRATE_WAIT_S, .programs_stopped = true};
    struct migration *list;
    size_t n;
    const char *why = check_series(p, db), *problem;
    if (!why && migrate(db, p->ctx, &options, &list, &n, &problem) != OK)
        why = problem;
    if (!why)
        why = audit_copy(p, db, p->files ? p->files : p->backup);
    if (!why && p->records) {
        enum err e = db_transaction(db, record_restore, p);
        why = e == OK ? NULL : talloc_asprintf(p->ctx, "recording the deed: %s", err_name(e));
    }
    return why;
}

/* Starts a server on the copy for some work, and ends it. */
static const char *serve(struct proof *p, const char *(*work)(struct proof *p, struct scratch *server))
{
    struct scratch *server;
    const char *why = scratch_start(p->ctx, p->datadir, p->log, &server);
    if (why)
        return why;
    why = work(p, server);
    const char *end = scratch_stop(p->ctx, server);
    return why ? why : end;
}

/* Brings the copy to the end of the logs, and audits it. What is wrong is added to the problems. */
static void prove_database(struct proof *p)
{
    const char *why = p->binlogs ? serve(p, advance_with) : NULL;
    if (!why)
        why = serve(p, prove_with);
    if (why)
        add_problem(p, why);
}

static bool is_proven(const struct proof *p)
{
    return p->problems_n == 0 && p->audit;
}

static bool is_clean(const struct proof *p)
{
    return is_proven(p) && p->audit->violations_n == 0;
}

/* Without slashes at the end, as names that something is appended to. */
static const char *trimmed(void *ctx, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return talloc_strndup(ctx, path, n);
}

/* Reads the settings and the manifest. False after an error message. */
static bool open_backup(struct proof *p, const char *path)
{
    p->ctx = p->cli->ctx;
    if (!cli_configure(p->cli))
        return false;
    p->backup = trimmed(p->ctx, path);
    const char *why = manifest_read(p->ctx, p->backup, &p->m);
    if (!why && p->m->schema > sql_migrations[sql_migration_count - 1].number)
        why = talloc_asprintf(
            p->ctx, "the backup was made by Millrace %s, whose schema (%lld) is newer than this one's",
            p->m->millrace, (long long)p->m->schema);
    if (why)
        cli_fail(p->cli, "%s", why);
    return !why;
}

static json_object *proof_json(const struct proof *p, bool ok)
{
    json_object *o = json_object_new_object(), *problems = json_object_new_array();
    json_object_object_add(o, "ok", json_object_new_boolean(ok));
    cli_add_text(o, "backup", p->backup);
    cli_add_time(o, "began_at", p->m->began_ms, true);
    cli_add_text(o, "millrace", p->m->millrace);
    cli_add_number(o, "schema", p->m->schema);
    cli_add_number(o, "files", p->listed);
    cli_add_number(o, "bytes", p->bytes);
    json_object_object_add(o, "keys", backup_compare_keys(p->cli, p->m));
    for (size_t i = 0; i < p->problems_n; i++) {
        json_object *row = json_object_new_object();
        cli_add_text(row, "problem", p->problems[i]);
        json_object_array_add(problems, row);
    }
    json_object_object_add(o, "problems", problems);
    cli_add_number(o, "checks", p->audit ? (int64_t)p->audit->checks_n : 0);
    json_object_object_add(o, "violations",
                           p->audit ? audit_violations_json(p->audit) : json_object_new_array());
    return o;
}

/* --- verify --- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A folder of backups stands for the newest of them. */
static const char *newest_of(void *ctx, const char *path)
{
    const char **names;
    size_t n;
    if (access(talloc_asprintf(ctx, "%s/" MANIFEST_FILE, path), F_OK) == 0 ||
        folder_list(ctx, path, &names, &n) || n == 0)
        return path;
    return talloc_asprintf(ctx, "%s/%s", path, names[n - 1]);
}

int cmd_backup_verify(struct cli *cli, int argc, char **argv)
{
    struct proof p = {.cli = cli};
    const char *rest[1], *scratch = NULL, *acknowledged = NULL, *why;
    const struct cli_option options[] = {
        {"scratch", .text_r = &scratch}, {"acknowledged", .text_r = &acknowledged}, {0}};
    id *ids = NULL;
    if (!cli_parse(cli, argc, argv, options, rest, 1))
        return CLI_USAGE;
    if (!open_backup(&p, newest_of(cli->ctx, rest[0])) ||
        (acknowledged && !audit_read_ids(cli, acknowledged, &ids, &p.acknowledged_n)))
        return CLI_FAILED;
    p.acknowledged = ids;
    const char *folder = scratch ? talloc_asprintf(cli->ctx, "%s/%s.scratch", scratch, base_name(p.backup))
                                 : talloc_asprintf(cli->ctx, "%s.scratch", p.backup);
    why = tree_remove(cli->ctx, folder);
    if (!why && mkdir(folder, 0700) != 0)
        why = talloc_asprintf(cli->ctx, "%s: %s", folder, strerror(errno));
    if (why)
        return cli_fail(cli, "%s", why);
    p.datadir = talloc_asprintf(cli->ctx, "%s/database", folder);
    p.log = talloc_asprintf(cli->ctx, "%s/mariadbd.log", folder);
    check_files(&p);
    if (p.problems_n == 0)
        prove_database(&p);
    why = tree_remove(cli->ctx, folder);
    if (why)
        add_problem(&p, why);
    cli_print(cli, proof_json(&p, is_clean(&p)));
    return is_clean(&p) ? CLI_DONE : CLI_FAILED;
}

/* --- restore --- */

struct owner {
    uid_t user;
    gid_t group;
};
struct restore {
    struct proof proof;
    /* the targets; the proof works in these names with ".restoring" */
    const char *datadir, *files, *more_files;
    struct owner datadir_owner, files_owner;
    bool accepts_violations;
};

/* The numbers on this host. Only root can give files away. */
static const char *find_owner(void *ctx, const char *user, const char *group, struct owner *owner_r)
{
    const struct passwd *u = getpwnam(user);
    const struct group *g = getgrnam(group);
    owner_r->user = geteuid() == 0 && u ? u->pw_uid : geteuid();
    owner_r->group = geteuid() == 0 && g ? g->gr_gid : getegid();
    return geteuid() != 0 || (u && g) ? NULL
                                      : talloc_asprintf(ctx,
                                                        "the backup's files belong to %s:%s, which this host "
                                                        "does not have: install the packages first",
                                                        user, group);
}

/* Makes TARGET.restoring for a target that is not there. */
static const char *begin_target(void *ctx, const char *target, const char **working_r)
{
    const char *working = *working_r = talloc_asprintf(ctx, "%s.restoring", target);
    const char *why = tree_check_target(ctx, target);
    if (!why && mkdir(working, 0700) != 0)
        why = errno == EEXIST
                  ? talloc_asprintf(ctx, "%s is left over from a restore that was interrupted: remove it",
                                    working)
                  : talloc_asprintf(ctx, "%s: %s", working, strerror(errno));
    return why;
}

static const char *begin_restore(struct restore *r)
{
    struct proof *p = &r->proof;
    const struct manifest *m = p->m;
    const char *why = find_owner(p->ctx, m->datadir_owner, m->datadir_group, &r->datadir_owner);
    if (!why)
        why = find_owner(p->ctx, m->files_owner, m->files_group, &r->files_owner);
    if (!why)
        why = begin_target(p->ctx, r->files, &p->files);
    if (why) {
        p->files = NULL;
        return why;
    }
    why = begin_target(p->ctx, r->datadir, &p->datadir);
    if (why) {
        p->datadir = NULL;
        (void)rmdir(p->files);
        return why;
    }
    p->log = talloc_asprintf(p->ctx, "%s.log", p->datadir);
    return NULL;
}

/* The folders of a store, also those that the backup has no file for. */
static const char *finish_files(struct restore *r)
{
    static const char *const folders[] = {"blobs", "tmp", "skills"};
    struct proof *p = &r->proof;
    mode_t mode = (mode_t)p->m->files_mode;
    const char *why = NULL;
    for (size_t i = 0; !why && i < sizeof folders / sizeof folders[0]; i++) {
        const char *path = talloc_asprintf(p->ctx, "%s/%s", p->files, folders[i]);
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            why = talloc_asprintf(p->ctx, "%s: %s", path, strerror(errno));
    }
    if (!why)
        why = tree_give(p->ctx, p->files, r->files_owner.user, r->files_owner.group,
                        mode & S_ISGID ? mode : 0755);
    if (!why && chmod(p->files, mode) != 0)
        why = talloc_asprintf(p->ctx, "%s: %s", p->files, strerror(errno));
    return why ? why : tree_sync(p->ctx, p->files);
}

/* Both appear whole; the data directory comes last, so that whoever sees it has the files, too. */
static const char *put_in_place(struct restore *r)
{
    struct proof *p = &r->proof;
    const char *why = finish_files(r);
    if (!why)
        why = tree_give(p->ctx, p->datadir, r->datadir_owner.user, r->datadir_owner.group, 0700);
    if (!why)
        why = tree_sync(p->ctx, p->datadir);
    if (!why && (rename(p->files, r->files) != 0 || rename(p->datadir, r->datadir) != 0))
        why =
            talloc_asprintf(p->ctx, "putting %s and %s in place: %s", r->files, r->datadir, strerror(errno));
    if (!why)
        why = tree_sync(p->ctx, talloc_asprintf(p->ctx, "%s/..", r->files));
    return why ? why : tree_sync(p->ctx, talloc_asprintf(p->ctx, "%s/..", r->datadir));
}

static int restore(struct restore *r)
{
    struct proof *p = &r->proof;
    struct cli *cli = p->cli;
    int64_t more;
    const char *why = begin_restore(r);
    if (why)
        return cli_fail(cli, "nothing was restored: %s", why);
    check_files(p);
    if (p->problems_n == 0 && r->more_files && (why = store_complete(p->ctx, r->more_files, p->files, &more)))
        add_problem(p, why);
    if (p->problems_n == 0)
        prove_database(p);
    bool good = is_clean(p) || (is_proven(p) && r->accepts_violations);
    if (good && (why = put_in_place(r))) {
        add_problem(p, why);
        good = false;
    }
    if (!good) {
        (void)tree_remove(p->ctx, p->files);
        (void)tree_remove(p->ctx, p->datadir);
    }
    (void)unlink(p->log);
    cli_print(cli, proof_json(p, good));
    return good ? CLI_DONE : cli_fail(cli, "nothing was restored");
}

int cmd_backup_restore(struct cli *cli, int argc, char **argv)
{
    struct restore r = {.proof = {.cli = cli, .records = true}};
    const char *rest[1], *until = NULL;
    const struct cli_option options[] = {{"datadir", .text_r = &r.datadir, .required = true},
                                         {"files", .text_r = &r.files, .required = true},
                                         {"binlogs", .text_r = &r.proof.binlogs},
                                         {"until", .text_r = &until},
                                         {"more-files", .text_r = &r.more_files},
                                         {"accept-violations", .flag_r = &r.accepts_violations},
                                         {0}};
    if (!cli_parse(cli, argc, argv, options, rest, 1))
        return CLI_USAGE;
    if (until && !r.proof.binlogs)
        return cli_usage(cli, "--until needs --binlogs");
    if (until && (r.proof.until_ms = clock_parse(until)) < 0)
        return cli_usage(cli, "--until must be a time (RFC 3339), not \"%s\"", until);
    if (!open_backup(&r.proof, rest[0]))
        return CLI_FAILED;
    r.datadir = trimmed(cli->ctx, r.datadir);
    r.files = trimmed(cli->ctx, r.files);
    if (until && r.proof.until_ms < r.proof.m->copied_ms)
        return cli_fail(cli, "--until lies before the end of the backup's copy; restore an earlier backup");
    return restore(&r);
}
