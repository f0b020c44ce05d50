#include "store/file.h"

#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "base/log.h"
#include "base/nfc.h"
#include "base/utf8.h"
#include "blob/blob_rows.h"
#include "deed/deed.h"
#include "mariadb/db.h"

const char *file_basename(void *ctx, const char *text)
{
    const char *name = text;
    for (const char *p = text; *p; p++) {
        if (*p == '/' || *p == '\\')
            name = p + 1;
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return NULL;
    }
    size_t n = strlen(name);
    if (n == 0 || n > FILE_NAME_BYTES_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        !utf8_is_valid(name, n))
        return NULL;
    const char *normal = file_name_normal(ctx, name);
    return strlen(normal) <= FILE_NAME_BYTES_MAX ? normal : NULL;
}

const char *file_name_normal(void *ctx, const char *name)
{
    return nfc_text(ctx, name);
}

bool file_media_type_fits(const char *type)
{
    size_t n = strlen(type);
    for (size_t i = 0; i < n; i++) {
        if (type[i] < 0x20 || type[i] > 0x7e)
            return false;
    }
    return n > 0 && n < 200 && strchr(type, '/');
}

static struct file *files_from_rows(void *ctx, const struct db_rows *rows)
{
    struct file *list = talloc_array(ctx, struct file, rows->count + 1);
    for (size_t i = 0; i < rows->count; i++) {
        list[i] = (struct file){
            .name = db_str(rows, i, FILE_GET_NAME),
            .blob.size = db_int(rows, i, FILE_GET_SIZE),
            .media_type = db_str(rows, i, FILE_GET_MEDIA_TYPE),
            .created_ms = db_int(rows, i, FILE_GET_CREATED_MS),
        };
        memcpy(list[i].blob.sha256, db_str(rows, i, FILE_GET_SHA256), BLOB_HASH);
    }
    return list;
}

enum err file_list(struct db *db, void *ctx, const id *workspace, const id *principal, const char *after,
                   int64_t limit, struct file **list_r, size_t *count_r)
{
    struct db_value args[] = {db_id(workspace), db_id(principal), db_text(file_name_normal(ctx, after)),
                              db_number(limit)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_FILE_LIST, args, 4, &rows);
    if (e != OK)
        return e;
    *list_r = files_from_rows(ctx, rows);
    *count_r = rows->count;
    return OK;
}

/* The names under which the files can be stored: earlier versions stored them as they were sent, which is
 * form D from clients on some systems. */
static struct db_value *stored_names(void *ctx, const char *const *names, size_t n, size_t *count_r)
{
    struct db_value *each = talloc_array(ctx, struct db_value, 2 * n + 1);
    *count_r = 0;
    for (size_t i = 0; i < n; i++) {
        const char *normal = file_name_normal(ctx, names[i]), *apart = nfd_text(ctx, names[i]);
        each[(*count_r)++] = db_text(normal);
        if (strcmp(normal, apart) != 0)
            each[(*count_r)++] = db_text(apart);
    }
    return each;
}

static bool has_name(const struct file *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Names the files in form C. Of two that get one name, the one that was stored by it remains. Returns how
 * many remain. */
static size_t join_spellings(void *ctx, struct file *list, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const char *normal = file_name_normal(ctx, list[i].name);
        bool is_normal = strcmp(normal, list[i].name) == 0;
        if (!is_normal && (has_name(list, kept, normal) || has_name(list + i + 1, n - i - 1, normal)))
            continue;
        list[kept] = list[i];
        list[kept++].name = normal;
    }
    return kept;
}

enum err file_find(struct db *db, void *ctx, const id *workspace, const id *principal,
                   const char *const *names, size_t n, struct file **list_r, size_t *count_r)
{
    struct db_value head[] = {db_id(workspace), db_id(principal)};
    size_t each_n;
    struct db_value *each = stored_names(ctx, names, n, &each_n);
    struct db_rows *rows;
    enum err e = db_run_each(db, ctx, SQL_FILE_GET, head, 2, each, 1, each_n, &rows);
    if (e != OK)
        return e;
    *list_r = files_from_rows(ctx, rows);
    *count_r = join_spellings(ctx, *list_r, rows->count);
    return OK;
}

enum err file_get(struct db *db, void *ctx, const id *workspace, const id *principal, const char *name,
                  struct file *file_r)
{
    struct file *list;
    size_t n;
    enum err e = file_find(db, ctx, workspace, principal, &name, 1, &list, &n);
    if (e == OK && n == 0)
        e = ERR_NOT_FOUND;
    if (e == OK)
        *file_r = list[0];
    return e;
}

enum err file_used_bytes(struct db *db, void *ctx, const id *workspace, const id *principal, int64_t *bytes_r)
{
    struct db_value args[] = {db_id(workspace), db_id(principal)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_FILE_USED_BYTES, args, 2, &rows);
    *bytes_r = e == OK ? db_int(rows, 0, FILE_USED_BYTES_BYTES) : 0;
    return e;
}

/* --- changes, under the account's lock --- */

struct file_change {
    void *ctx;
    const id *workspace, *principal;
    const struct file *files;
    size_t n;
    const struct config *config;
    /* Blobs that lose a name, on the context of the transaction. */
    struct blob_id *replaced;
    size_t replaced_n;
    /* Files whose names exist already. */
    size_t known_n;
    struct quota_excess *excess;
    /* Of the file to delete. */
    const char *name;
    bool was_there;
};

static const struct file *find_name(const struct file_change *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->files[i].name, name) == 0)
            return &c->files[i];
    }
    return NULL;
}

/* Locks the collection, computes its size after the change, and collects the blobs that lose a name. */
static enum err check_collection_size(struct db_tx *tx, struct file_change *c)
{
    struct db_value args[] = {db_id(c->workspace), db_id(c->principal)};
    struct db_rows *rows;
    int64_t total = 0;
    enum err e = db_run(tx->db, tx->ctx, SQL_FILE_LOCK_ALL, args, 2, &rows);
    if (e != OK)
        return e;
    c->replaced = talloc_zero_array(tx->ctx, struct blob_id, rows->count + 1);
    c->replaced_n = 0;
    c->known_n = 0;
    for (size_t i = 0; i < c->n; i++)
        total += c->files[i].blob.size;
    for (size_t i = 0; i < rows->count; i++) {
        struct blob_id old = {.size = db_int(rows, i, FILE_LOCK_ALL_SIZE)};
        memcpy(old.sha256, db_str(rows, i, FILE_LOCK_ALL_SHA256), BLOB_HASH);
        const struct file *by = find_name(c, db_str(rows, i, FILE_LOCK_ALL_NAME));
        c->known_n += by != NULL;
        if (!by)
            total += old.size;
        else if (memcmp(by->blob.sha256, old.sha256, BLOB_HASH) != 0)
            c->replaced[c->replaced_n++] = old;
    }
    return total > c->config->files.principal_max_bytes ? ERR_LIMIT : OK;
}

static enum err check_number_of_files(struct db_tx *tx, const struct file_change *c)
{
    enum err e = quota_check_files(tx, c->workspace, c->config, c->n - c->known_n, c->excess);
    return e == ERR_LIMIT ? ERR_DENIED : e;
}

static enum err lock_workspace_account(struct db_tx *tx, const id *workspace)
{
    struct account *account;
    size_t n;
    enum err e = account_lock(tx, tx->ctx, workspace, 1, &account, &n);
    return e == OK && n == 0 ? ERR_NOT_FOUND : e;
}

static struct blob_id *blobs_of(void *ctx, const struct file *files, size_t n)
{
    struct blob_id *blobs = talloc_zero_array(ctx, struct blob_id, n + 1);
    for (size_t i = 0; i < n; i++)
        blobs[i] = files[i].blob;
    return blobs;
}

/* One row for the request; of many files it names the first. */
static enum err record_file_put(struct db_tx *tx, const struct file_change *c)
{
    const struct deed_detail detail[] = {
        {"files", talloc_asprintf(tx->ctx, "%zu", c->n)}, {"principal_id", c->principal->text}, {0}};
    return c->n ? deed_record(tx, "file.put", c->workspace, c->files[0].name, detail) : OK;
}

static enum err file_put_work(struct db_tx *tx, void *arg)
{
    struct file_change *c = arg;
    struct db_value *each = talloc_array(tx->ctx, struct db_value, FILE_PUT_SET_COUNT * c->n + 1);
    for (size_t i = 0; i < c->n; i++) {
        const struct file *f = &c->files[i];
        struct db_value *v = &each[FILE_PUT_SET_COUNT * i];
        v[FILE_PUT_SET_WORKSPACE_ID] = db_id(c->workspace);
        v[FILE_PUT_SET_PRINCIPAL_ID] = db_id(c->principal);
        v[FILE_PUT_SET_NAME] = db_text(f->name);
        v[FILE_PUT_SET_SIZE] = db_number(f->blob.size);
        v[FILE_PUT_SET_SHA256] = db_bytes(f->blob.sha256, BLOB_HASH);
        v[FILE_PUT_SET_MEDIA_TYPE] = db_text(f->media_type);
        v[FILE_PUT_SET_CREATED_MS] = db_number(f->created_ms);
    }
    enum err e = lock_workspace_account(tx, c->workspace);
    if (e == OK)
        e = check_collection_size(tx, c);
    if (e == OK)
        e = check_number_of_files(tx, c);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_FILE_PUT, NULL, 0, each, FILE_PUT_SET_COUNT, c->n, NULL);
    if (e == OK) {
        blob_mark_dead(tx, c->replaced, c->replaced_n);
        blob_mark_used(tx, blobs_of(tx->ctx, c->files, c->n), c->n);
        e = record_file_put(tx, c);
    }
    return e;
}

enum err file_put_all(struct db *db, void *ctx, const id *workspace, const id *principal,
                      const struct file *files, size_t n, const struct config *config,
                      struct quota_excess *excess_r)
{
    struct file_change c = {.ctx = ctx,
                            .workspace = workspace,
                            .principal = principal,
                            .files = files,
                            .n = n,
                            .config = config,
                            .excess = excess_r};
    return db_transaction(db, file_put_work, &c);
}

void file_discard(struct db *db, const struct file *files, size_t n)
{
    void *ctx = talloc_new(NULL);
    enum err e = blob_discard(db, blobs_of(ctx, files, n), n);
    if (e != OK)
        log_warn("file.discard_failed", "files=%zu error=%s", n, err_name(e));
    talloc_free(ctx);
}

static enum err file_delete_work(struct db_tx *tx, void *arg)
{
    struct file_change *c = arg;
    struct db_value args[] = {db_id(c->workspace), db_id(c->principal), db_text("")};
    size_t names_n;
    struct db_value *names = stored_names(tx->ctx, &c->name, 1, &names_n);
    struct db_rows *rows;
    enum err e = lock_workspace_account(tx, c->workspace);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_FILE_GET, args, 2, names, 1, names_n, &rows);
    if (e == OK && rows->count == 0)
        return tx->settling && c->was_there ? OK : ERR_NOT_FOUND;
    if (e != OK)
        return e;
    c->was_there = true;
    struct file *files = files_from_rows(tx->ctx, rows);
    blob_mark_dead(tx, blobs_of(tx->ctx, files, rows->count), rows->count);
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        args[2] = db_text(files[i].name);
        e = db_run(tx->db, tx->ctx, SQL_FILE_DELETE, args, 3, NULL);
    }
    const struct deed_detail detail[] = {{"principal_id", c->principal->text}, {0}};
    return e == OK ? deed_record(tx, "file.delete", c->workspace, c->name, detail) : e;
}

enum err file_delete(struct db *db, const id *workspace, const id *principal, const char *name)
{
    struct file_change c = {.workspace = workspace, .principal = principal, .name = name};
    return db_transaction(db, file_delete_work, &c);
}
