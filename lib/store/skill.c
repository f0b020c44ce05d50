#include "store/skill.h"

#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "account/credits.h"
#include "deed/deed.h"
#include "mariadb/db.h"

/* A row of skill_current, skill_version, skill_list or tool_skills. */
static struct skill skill_from_row(const struct db_rows *rows, size_t i)
{
    struct skill s = {
        .id = db_get_id(rows, i, SKILL_CURRENT_ID),
        .workspace_id = db_get_id(rows, i, SKILL_CURRENT_WORKSPACE_ID),
        .tenant_id = db_get_id(rows, i, SKILL_CURRENT_TENANT_ID),
        .slug = db_str(rows, i, SKILL_CURRENT_SLUG),
        .version = (int)db_int(rows, i, SKILL_CURRENT_VERSION),
        .label = db_str(rows, i, SKILL_CURRENT_LABEL),
        .agentic = db_int(rows, i, SKILL_CURRENT_AGENTIC) != 0,
        .credits = db_int(rows, i, SKILL_CURRENT_CREDITS),
        .price = db_int_or(rows, i, SKILL_CURRENT_PRICE, -1),
        .catalog_version = db_int(rows, i, SKILL_CURRENT_RESPONDERS),
        .created_ms = db_int(rows, i, SKILL_CURRENT_CREATED_MS),
        .updated_ms = db_int(rows, i, SKILL_CURRENT_UPDATED_MS),
        .version_ms = db_int(rows, i, SKILL_CURRENT_VERSION_CREATED_MS),
        .manifest = db_str(rows, i, SKILL_CURRENT_MANIFEST),
        .manifest_size = db_cell(rows, i, SKILL_CURRENT_MANIFEST)->size,
    };
    memcpy(s.hash, db_str(rows, i, SKILL_CURRENT_HASH), SKILL_HASH_SIZE);
    return s;
}

static enum err skill_get_one(struct db *db, void *ctx, enum sql_id query, const struct db_value *args,
                              size_t args_n, struct skill *skill_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, query, args, args_n, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *skill_r = skill_from_row(rows, 0);
    return e;
}

enum err skill_get_current_within(struct db *db, void *ctx, const id *workspace, const char *slug,
                                  size_t manifest_max, struct skill *skill_r)
{
    struct db_value args[] = {db_number((int64_t)manifest_max), db_id(workspace), db_text(slug)};
    return skill_get_one(db, ctx, SQL_SKILL_CURRENT, args, 3, skill_r);
}

enum err skill_get_current(struct db *db, void *ctx, const id *workspace, const char *slug,
                           struct skill *skill_r)
{
    return skill_get_current_within(db, ctx, workspace, slug, INT64_MAX, skill_r);
}

enum err skill_get_version_within(struct db *db, void *ctx, const id *workspace, const id *skill, int version,
                                  size_t manifest_max, struct skill *skill_r)
{
    struct db_value args[] = {db_number((int64_t)manifest_max), db_number(version), db_id(skill),
                              db_id(workspace)};
    return skill_get_one(db, ctx, SQL_SKILL_VERSION, args, 4, skill_r);
}

enum err skill_get_version(struct db *db, void *ctx, const id *workspace, const id *skill, int version,
                           struct skill *skill_r)
{
    return skill_get_version_within(db, ctx, workspace, skill, version, INT64_MAX, skill_r);
}

static enum err read_skills(struct db *db, void *ctx, enum sql_id query, const struct db_value *args,
                            size_t args_n, struct skill **list_r, size_t *count_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, query, args, args_n, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_array(ctx, struct skill, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++)
        (*list_r)[i] = skill_from_row(rows, i);
    *count_r = rows->count;
    return OK;
}

enum err skill_list(struct db *db, void *ctx, const id *workspace, struct skill **list_r, size_t *count_r)
{
    struct db_value arg = db_id(workspace);
    return read_skills(db, ctx, SQL_SKILL_LIST, &arg, 1, list_r, count_r);
}

enum err skill_list_tools(struct db *db, void *ctx, const id *workspace, const char *after, int64_t limit,
                          struct skill **list_r, size_t *count_r)
{
    struct db_value args[] = {db_id(workspace), db_text(after), db_number(limit)};
    return read_skills(db, ctx, SQL_TOOL_SKILLS, args, 3, list_r, count_r);
}

enum err skill_version_list(struct db *db, void *ctx, const id *workspace, const id *skill,
                            struct skill_version **list_r, size_t *count_r)
{
    struct db_value one = skill ? db_id(skill) : db_null();
    struct db_value args[] = {db_id(workspace), one, one};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SKILL_VERSION_LIST, args, 3, &rows);
    if (e != OK)
        return e;
    *list_r = talloc_array(ctx, struct skill_version, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        (*list_r)[i] = (struct skill_version){
            .skill_id = db_get_id(rows, i, SKILL_VERSION_LIST_SKILL_ID),
            .version = (int)db_int(rows, i, SKILL_VERSION_LIST_VERSION),
            .label = db_str(rows, i, SKILL_VERSION_LIST_LABEL),
            .created_ms = db_int(rows, i, SKILL_VERSION_LIST_CREATED_MS),
        };
    }
    *count_r = rows->count;
    return OK;
}

struct skill_archiving {
    const id *workspace;
    const char *slug;
    int64_t now_ms;
};

static enum err skill_archive_work(struct db_tx *tx, void *arg)
{
    const struct skill_archiving *a = arg;
    struct db_value args[] = {db_number(a->now_ms), db_id(a->workspace), db_text(a->slug)};
    struct db_rows *rows;
    enum err e = deed_hold(tx, a->workspace);
    if (e == OK)
        e = account_bump_catalog_version(tx, a->workspace);
    if (e != OK)
        return e;
    e = db_run(tx->db, tx->ctx, SQL_SKILL_ARCHIVE, args, 3, &rows);
    if (e == OK && rows->affected == 0)
        e = ERR_NOT_FOUND;
    return e == OK ? deed_record(tx, "skill.remove", a->workspace, a->slug, NULL) : e;
}

enum err skill_archive(struct db *db, const id *workspace, const char *slug, int64_t now_ms)
{
    struct skill_archiving archive = {workspace, slug, now_ms};
    return db_transaction(db, skill_archive_work, &archive);
}

enum err skill_price(struct db *db, void *ctx, const id *workspace, const char *slug, int64_t *micro_r)
{
    struct db_value args[] = {db_text(slug), db_id(workspace)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SKILL_PRICE, args, 2, &rows);
    if (e == OK && rows->count == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *micro_r = db_int_or(rows, 0, SKILL_PRICE_PRICE, CREDIT_MICRO);
    return e;
}

/* --- installing --- */

struct skill_write {
    const struct skill_install *s;
    id skill;
    /* The skill has a row. */
    bool exists;
    /* The version was inserted by this change. */
    bool is_new;
    /* The version has a row. */
    bool stored;
    int version;
};

/* Finds the version with this label, or chooses the next number. */
static enum err find_skill_version(struct db_tx *tx, struct skill_write *p)
{
    struct db_value args[] = {db_id(&p->skill), db_text(p->s->label)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_SKILL_VERSION_FIND_LABEL, args, 2, &rows);
    if (e != OK)
        return e;
    if (rows->count > 0) {
        /* a version that an earlier attempt inserted, whose COMMIT response was lost, is new all the same */
        p->is_new =
            tx->settling && p->is_new && db_int(rows, 0, SKILL_VERSION_FIND_LABEL_VERSION) == p->version;
        p->stored = true;
        p->version = (int)db_int(rows, 0, SKILL_VERSION_FIND_LABEL_VERSION);
        return memcmp(db_str(rows, 0, SKILL_VERSION_FIND_LABEL_HASH), p->s->hash, SKILL_HASH_SIZE) == 0
                   ? OK
                   : ERR_CONFLICT;
    }
    e = db_run(tx->db, tx->ctx, SQL_SKILL_NEWEST_VERSION, args, 1, &rows);
    p->is_new = true;
    p->stored = false;
    p->version = e == OK ? (int)db_int(rows, 0, SKILL_NEWEST_VERSION_VERSION) + 1 : 0;
    return e;
}

static enum err find_skill(struct db_tx *tx, struct skill_write *p)
{
    struct db_value args[] = {db_id(&p->s->workspace_id), db_text(p->s->slug)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_SKILL_LOCK, args, 2, &rows);
    if (e != OK)
        return e;
    p->exists = rows->count > 0;
    p->skill = p->exists ? db_get_id(rows, 0, SKILL_LOCK_ID) : p->s->skill_id;
    return OK;
}

static enum err write_skill_row(struct db_tx *tx, const struct skill_write *p)
{
    const struct skill_install *s = p->s;
    struct db_value fresh[] = {
        [SKILL_INSERT_SET_ID] = db_id(&p->skill),
        [SKILL_INSERT_SET_WORKSPACE_ID] = db_id(&s->workspace_id),
        [SKILL_INSERT_SET_SLUG] = db_text(s->slug),
        [SKILL_INSERT_SET_VERSION] = db_number(p->version),
        [SKILL_INSERT_SET_CREATED_MS] = db_number(s->at_ms),
        [SKILL_INSERT_SET_UPDATED_MS] = db_number(s->at_ms),
    };
    struct db_value newer[] = {db_number(p->version), db_number(s->at_ms), db_id(&p->skill)};
    return p->exists ? db_run(tx->db, tx->ctx, SQL_SKILL_UPDATE, newer, 3, NULL)
                     : db_run(tx->db, tx->ctx, SQL_SKILL_INSERT, fresh, SKILL_INSERT_SET_COUNT, NULL);
}

static enum err write_skill_version(struct db_tx *tx, const struct skill_write *p)
{
    const struct skill_install *s = p->s;
    struct db_value row[] = {
        [SKILL_VERSION_INSERT_SET_SKILL_ID] = db_id(&p->skill),
        [SKILL_VERSION_INSERT_SET_VERSION] = db_number(p->version),
        [SKILL_VERSION_INSERT_SET_LABEL] = db_text(s->label),
        [SKILL_VERSION_INSERT_SET_HASH] = db_bytes(s->hash, 32),
        [SKILL_VERSION_INSERT_SET_AGENTIC] = db_number(s->agentic),
        [SKILL_VERSION_INSERT_SET_CREDITS] = db_number(s->credits),
        [SKILL_VERSION_INSERT_SET_MANIFEST] = db_bytes(s->manifest.at, s->manifest.size),
        [SKILL_VERSION_INSERT_SET_CREATED_MS] = db_number(s->at_ms),
        [SKILL_VERSION_INSERT_SET_EXPOSED] = db_number(s->exposed),
    };
    return db_run(tx->db, tx->ctx, SQL_SKILL_VERSION_INSERT, row, SKILL_VERSION_INSERT_SET_COUNT, NULL);
}

static enum err skill_put_work(struct db_tx *tx, void *arg)
{
    struct skill_write *p = arg;
    struct account *account;
    size_t accounts;
    enum err e = account_lock(tx, tx->ctx, &p->s->workspace_id, 1, &account, &accounts);
    if (e == OK && accounts == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        e = account_bump_catalog_version(tx, &p->s->workspace_id);
    if (e == OK)
        e = find_skill(tx, p);
    if (e == OK)
        e = find_skill_version(tx, p);
    if (e == OK)
        e = write_skill_row(tx, p);
    if (e == OK && !p->stored)
        e = write_skill_version(tx, p);
    const struct deed_detail detail[] = {{"version", p->s->label}, {0}};
    return e == OK ? deed_record(tx, "skill.install", &p->s->workspace_id, p->s->slug, detail) : e;
}

enum err skill_put(struct db *db, const struct skill_install *s, id *skill_r, bool *is_new_r)
{
    struct skill_write p = {.s = s};
    enum err e = db_transaction(db, skill_put_work, &p);
    *skill_r = p.skill;
    *is_new_r = p.is_new;
    return e;
}
