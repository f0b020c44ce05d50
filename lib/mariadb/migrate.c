#include "mariadb/migrate.h"

#include <string.h>
#include <talloc.h>

#include "base/clock.h"

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
    if (db_cell(rows, i, MIGRATION_LIST_APPLIED_MS)->is_null)
        return talloc_asprintf(ctx,
                               "migration %s stopped halfway: undo its changes by hand, then delete its row "
                               "in schema_migrations",
                               name);
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

static bool is_applied(const struct db_rows *rows, unsigned number)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (db_int(rows, i, MIGRATION_LIST_NUMBER) == number)
            return true;
    }
    return false;
}

/* GET_LOCK makes the second `millrace migrate` on one server wait. On several servers of a Galera cluster it
 * is granted more than once; there the row's primary key decides, which is certified: one of two inserts
 * fails. */
static enum err apply_migration(struct db *db, void *ctx, const struct sql_migration *m,
                                int64_t *applied_ms_r, const char **why_r)
{
    struct db_value begin[] = {
        [MIGRATION_BEGIN_SET_NUMBER] = db_number(m->number),
        [MIGRATION_BEGIN_SET_NAME] = db_text(m->name),
        [MIGRATION_BEGIN_SET_SHA256] = db_text(m->sha256),
    };
    *why_r = talloc_asprintf(
        ctx, "migration %s could not be begun; another `millrace migrate` may be executing it", m->name);
    enum err e = db_run(db, ctx, SQL_MIGRATION_BEGIN, begin, MIGRATION_BEGIN_SET_COUNT, NULL);
    if (e != OK)
        return e;
    *why_r = talloc_asprintf(ctx, "migration %s failed, and some of its statements may have been executed",
                             m->name);
    e = db_script(db, m->text);
    if (e != OK)
        return e;
    *applied_ms_r = clock_wall_ms();
    struct db_value end[] = {db_number(*applied_ms_r), db_number(m->number)};
    return db_run(db, ctx, SQL_MIGRATION_END, end, 2, NULL);
}

/* Called with the lock held. */
static enum err apply_missing_migrations(struct db *db, void *ctx, struct migration *list, const char **why_r)
{
    struct db_rows *rows = NULL;
    enum err e = check_applied(db, ctx, &rows, why_r);
    size_t known = 0;
    for (size_t i = 0; e == OK && i < sql_migration_count; i++) {
        const struct sql_migration *m = &sql_migrations[i];
        list[i] = (struct migration){.number = m->number, .name = m->name, .sha256 = m->sha256};
        list[i].is_new = !is_applied(rows, m->number);
        if (!list[i].is_new)
            list[i].applied_ms = db_int(rows, known++, MIGRATION_LIST_APPLIED_MS);
        else
            e = apply_migration(db, ctx, m, &list[i].applied_ms, why_r);
    }
    return e;
}

enum err migrate(struct db *db, void *ctx, int wait_s, struct migration **list_r, size_t *count_r,
                 const char **why_r)
{
    *list_r = talloc_zero_array(ctx, struct migration, sql_migration_count + 1);
    *count_r = sql_migration_count;
    *why_r = "MariaDB is unreachable";
    struct db_rows *rows;
    struct db_value wait = db_number(wait_s);
    enum err e = db_run(db, ctx, SQL_MIGRATION_LOCK, &wait, 1, &rows);
    if (e != OK)
        return e;
    if (db_int(rows, 0, MIGRATION_LOCK_IS_LOCKED) != 1) {
        *why_r = "another migration is running";
        return ERR_RETRY;
    }
    e = db_run(db, ctx, SQL_MIGRATION_TABLE, NULL, 0, NULL);
    if (e == OK)
        e = apply_missing_migrations(db, ctx, *list_r, why_r);
    if (db_run(db, ctx, SQL_MIGRATION_UNLOCK, NULL, 0, NULL) != OK && e == OK)
        e = ERR_UNAVAILABLE;
    return e;
}
