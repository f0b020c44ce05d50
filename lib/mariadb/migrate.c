#include "mariadb/migrate.h"

#include <string.h>
#include <talloc.h>
#include <time.h>

#include "base/clock.h"

/* Between two looks at a migration that another `millrace migrate` executes. */
enum { LOOK_PAUSE_MS = 100 };

static const struct sql_migration *find_ours(int64_t number)
{
    for (size_t i = 0; i < sql_migration_count; i++) {
        if (sql_migrations[i].number == number)
            return &sql_migrations[i];
    }
    return NULL;
}

/* Why this build cannot continue from an applied migration, as a sentence, or NULL. */
static const char *row_problem(void *ctx, const struct db_rows *rows, size_t i)
{
    int64_t number = db_int(rows, i, MIGRATION_LIST_NUMBER);
    const char *name = db_str(rows, i, MIGRATION_LIST_NAME);
    const struct sql_migration *ours = find_ours(number);
    if (!ours)
        return talloc_asprintf(
            ctx, "the database has migration %s, which this build does not know: the database is newer",
            name);
    if (strcmp(ours->sha256, db_str(rows, i, MIGRATION_LIST_SHA256)) != 0)
        return talloc_asprintf(ctx, "migration %s was changed after it had been applied", name);
    return NULL;
}

static enum err check_applied(struct db *db, void *ctx, struct db_rows **rows_r, const char **why_r)
{
    enum err e = db_run(db, ctx, SQL_MIGRATION_LIST, NULL, 0, rows_r);
    for (size_t i = 0; e == OK && i < (*rows_r)->count; i++) {
        *why_r = row_problem(ctx, *rows_r, i);
        if (*why_r)
            e = ERR_CONFLICT;
    }
    return e;
}

/* The name of a migration that was begun and has not ended, or NULL. */
static const char *unfinished(const struct db_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (db_cell(rows, i, MIGRATION_LIST_APPLIED_MS)->is_null)
            return db_str(rows, i, MIGRATION_LIST_NAME);
    }
    return NULL;
}

static bool is_applied(const struct db_rows *rows, unsigned number)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (db_int(rows, i, MIGRATION_LIST_NUMBER) == number)
            return true;
    }
    return false;
}

/* Executes a migration unless another `millrace migrate` has begun it: *ours_r. The row's primary key
 * decides, also between servers that replicate to each other, where a named lock would be granted on each of
 * them. */
static enum err apply_migration(struct db *db, void *ctx, const struct sql_migration *m, bool *ours_r,
                                const char **why_r)
{
    struct db_value begin[] = {
        [MIGRATION_BEGIN_SET_NUMBER] = db_number(m->number),
        [MIGRATION_BEGIN_SET_NAME] = db_text(m->name),
        [MIGRATION_BEGIN_SET_SHA256] = db_text(m->sha256),
    };
    struct db_rows *rows;
    *why_r = talloc_asprintf(ctx, "migration %s could not be begun", m->name);
    enum err e = db_run(db, ctx, SQL_MIGRATION_BEGIN, begin, MIGRATION_BEGIN_SET_COUNT, &rows);
    *ours_r = e == OK && rows->insert_id == 0;
    if (e == ERR_RETRY)
        return OK;
    if (!*ours_r)
        return e;
    *why_r = talloc_asprintf(ctx, "migration %s failed, and some of its statements may have been executed",
                             m->name);
    e = db_script(db, m->text);
    struct db_value end[] = {db_number(clock_wall_ms()), db_number(m->number)};
    return e == OK ? db_run(db, ctx, SQL_MIGRATION_END, end, 2, NULL) : e;
}

/* Programs of an earlier version may run only if there is a workspace that they could serve. */
static enum err is_in_use(struct db *db, void *ctx, const struct db_rows *applied, bool *in_use_r)
{
    struct db_rows *rows;
    *in_use_r = false;
    if (applied->count == 0 || unfinished(applied))
        return OK;
    enum err e = db_run(db, ctx, SQL_MIGRATION_IN_USE, NULL, 0, &rows);
    if (e == OK)
        *in_use_r = rows->count > 0;
    return e;
}

/* The first missing migration that must not run beside some programs, or NULL. */
static const struct sql_migration *next_stop(const struct db_rows *rows)
{
    for (size_t i = 0; i < sql_migration_count; i++) {
        if (sql_migrations[i].stop && !is_applied(rows, sql_migrations[i].number))
            return &sql_migrations[i];
    }
    return NULL;
}

/* Refuses before anything is done, so that the programs of the earlier version keep what they know. */
static enum err check_stops(struct db *db, void *ctx, const struct db_rows *rows, const char **why_r)
{
    bool in_use;
    const struct sql_migration *stop = next_stop(rows);
    enum err e = stop ? is_in_use(db, ctx, rows, &in_use) : OK;
    if (e != OK || !stop || !in_use)
        return e;
    *why_r = talloc_asprintf(
        ctx,
        "nothing was done, because migration %s must not run beside these programs of an earlier version: %s "
        "(%s). Stop them on all hosts (systemctl stop millrace-PROGRAM), run `millrace migrate --stop`, and "
        "start the new ones",
        stop->name, stop->stop, stop->stop_why);
    return ERR_CONFLICT;
}

/* The first migration of this build that has no row, or NULL. */
static const struct sql_migration *next_missing(const struct db_rows *rows)
{
    for (size_t i = 0; i < sql_migration_count; i++) {
        if (!is_applied(rows, sql_migrations[i].number))
            return &sql_migrations[i];
    }
    return NULL;
}

static void fill_list(struct migration *list, const struct db_rows *rows)
{
    for (size_t i = 0; i < sql_migration_count; i++) {
        list[i].number = sql_migrations[i].number;
        list[i].name = sql_migrations[i].name;
        list[i].sha256 = sql_migrations[i].sha256;
        for (size_t r = 0; r < rows->count; r++) {
            if (db_int(rows, r, MIGRATION_LIST_NUMBER) == list[i].number)
                list[i].applied_ms = db_int(rows, r, MIGRATION_LIST_APPLIED_MS);
        }
    }
}

static void pause_look(void)
{
    struct timespec pause = {.tv_nsec = LOOK_PAUSE_MS * 1000000L};
    nanosleep(&pause, NULL);
}

/* Applies one migration after the other, and waits for one that is begun until its end is seen. */
static enum err apply_missing_migrations(struct db *db, void *ctx, const struct migrate_options *options,
                                         struct migration *list, const char **why_r)
{
    int wait_s = options->wait_s;
    const char *waiting_for = NULL;
    int64_t until_ms = 0;
    for (;;) {
        struct db_rows *rows;
        enum err e = check_applied(db, ctx, &rows, why_r);
        if (e != OK)
            return e;
        const char *begun = unfinished(rows);
        const struct sql_migration *next = next_missing(rows);
        if (!begun && !next) {
            fill_list(list, rows);
            return OK;
        }
        if (!begun) {
            e = options->programs_stopped ? OK : check_stops(db, ctx, rows, why_r);
            if (e != OK)
                return e;
            e = apply_migration(db, ctx, next, &list[next - sql_migrations].is_new, why_r);
            if (e != OK)
                return e;
            continue;
        }
        if (!waiting_for || strcmp(waiting_for, begun) != 0)
            until_ms = clock_boot_ms() + 1000 * (int64_t)wait_s;
        waiting_for = begun;
        *why_r = talloc_asprintf(ctx,
                                 "migration %s was begun and did not end within %d s: if no other `millrace "
                                 "migrate` executes it, it stopped halfway: undo its changes by hand, then "
                                 "delete its row in schema_migrations",
                                 begun, wait_s);
        if (clock_boot_ms() >= until_ms)
            return ERR_RETRY;
        pause_look();
    }
}

enum err migrate(struct db *db, void *ctx, const struct migrate_options *options, struct migration **list_r,
                 size_t *count_r, const char **why_r)
{
    *list_r = talloc_zero_array(ctx, struct migration, sql_migration_count + 1);
    *count_r = sql_migration_count;
    *why_r = "MariaDB is unreachable";
    enum err e = db_run(db, ctx, SQL_MIGRATION_TABLE, NULL, 0, NULL);
    return e == OK ? apply_missing_migrations(db, ctx, options, *list_r, why_r) : e;
}
