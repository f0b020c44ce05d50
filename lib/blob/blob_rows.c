#include "blob/blob_rows.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

enum { PAGE_MAX = 500 /* the LIMIT of blob_page.sql */ };
/* The values of a row in dead_object_add.sql. */
enum { DEAD_OBJECT, DEAD_SHA256, DEAD_VALUES };
/* for the requests of one step of maintenance, which has other tasks */
enum { REMOVE_MS = 1000 };

static int compare_blobs(const void *a, const void *b)
{
    return memcmp(a, b, BLOB_HASH); /* sha256 is the first member */
}

/* --- marking --- */

/* Marks of one transaction. They are written at its end, because transactions of all workspaces share the
 * rows. */
struct blob_mark {
    struct blob_id blob;
    bool is_dead;
};
struct marks {
    struct blob_mark *list;
    size_t n;
};

/* By hash, so that all transactions lock the rows in the same order. Of one blob, `used` comes first: whoever
 * takes another name away is not the one that uses it. */
static int compare_marks(const void *a, const void *b)
{
    const struct blob_mark *x = a, *y = b;
    int order = memcmp(x->blob.sha256, y->blob.sha256, BLOB_HASH);
    return order ? order : x->is_dead - y->is_dead;
}

static void sort_marks(struct marks *m)
{
    size_t n = 0;
    qsort(m->list, m->n, sizeof *m->list, compare_marks);
    for (size_t i = 0; i < m->n; i++) {
        if (n == 0 || memcmp(m->list[n - 1].blob.sha256, m->list[i].blob.sha256, BLOB_HASH) != 0)
            m->list[n++] = m->list[i];
    }
    m->n = n;
}

/* Those used blobs whose rows are live, with their objects. Reads without a lock. */
static enum err find_live(struct db_tx *tx, const struct marks *m, struct blob_id **live_r, size_t *n_r)
{
    struct db_value *hashes = talloc_array(tx->ctx, struct db_value, m->n + 1);
    struct db_rows *rows;
    size_t used_n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (!m->list[i].is_dead)
            hashes[used_n++] = db_bytes(m->list[i].blob.sha256, BLOB_HASH);
    }
    *n_r = 0;
    enum err e = db_run_each(tx->db, tx->ctx, SQL_BLOB_LIVE, NULL, 0, hashes, 1, used_n, &rows);
    if (e != OK)
        return e;
    *live_r = talloc_zero_array(tx->ctx, struct blob_id, rows->count + 1);
    for (; *n_r < rows->count; (*n_r)++) {
        memcpy((*live_r)[*n_r].sha256, db_str(rows, *n_r, BLOB_LIVE_SHA256), BLOB_HASH);
        (*live_r)[*n_r].object = db_get_id(rows, *n_r, BLOB_LIVE_OBJECT);
    }
    qsort(*live_r, *n_r, sizeof **live_r, compare_blobs);
    return OK;
}

/* The objects of the marks, before marks of the same blob are joined. */
static size_t marked_objects(void *ctx, const struct marks *m, struct blob_id **list_r)
{
    size_t n = 0;
    *list_r = talloc_zero_array(ctx, struct blob_id, m->n + 1);
    for (size_t i = 0; i < m->n; i++) {
        if (id_is_set(&m->list[i].blob.object))
            (*list_r)[n++] = m->list[i].blob;
    }
    return n;
}

/* Objects that the rows do not name are dead: the blob had one already, or another transaction was first. A
 * row and its object go together: whoever removes the row makes the object a dead one. So an object that a
 * row names, dead or not, is there. */
static enum err bury_unnamed(struct db_tx *tx, const struct blob_id *list, size_t n)
{
    struct db_value *each = talloc_array(tx->ctx, struct db_value, 2 * n + 1);
    struct db_rows *rows;
    size_t dead_n = 0;
    for (size_t i = 0; i < n; i++)
        each[i] = db_bytes(list[i].sha256, BLOB_HASH);
    enum err e = db_run_each(tx->db, tx->ctx, SQL_BLOB_OBJECT, NULL, 0, each, 1, n, &rows);
    for (size_t i = 0; e == OK && i < n; i++) {
        bool is_named = false;
        for (size_t r = 0; r < rows->count && !is_named; r++) {
            id object = db_get_id(rows, r, BLOB_OBJECT_OBJECT);
            is_named = id_equal(&object, &list[i].object);
        }
        if (is_named)
            continue;
        each[DEAD_VALUES * dead_n + DEAD_OBJECT] = db_id(&list[i].object);
        each[DEAD_VALUES * dead_n + DEAD_SHA256] = db_bytes(list[i].sha256, BLOB_HASH);
        dead_n++;
    }
    return e == OK
               ? db_run_each(tx->db, tx->ctx, SQL_DEAD_OBJECT_ADD, NULL, 0, each, DEAD_VALUES, dead_n, NULL)
               : e;
}

/* The row of a used blob is live and needs no object. */
static bool is_settled(const struct blob_mark *mark, const struct blob_id *live, size_t live_n)
{
    const struct blob_id *row =
        mark->is_dead ? NULL : bsearch(&mark->blob, live, live_n, sizeof *live, compare_blobs);
    return row && (id_is_set(&row->object) || !id_is_set(&mark->blob.object));
}

/* A used blob whose row is live needs no mark, and equal artifacts of many runs wait for no lock. If another
 * transaction marks it as dead in the meantime, ten minutes pass before anybody removes it, and then the row
 * that this transaction writes names it. */
static enum err write_marks(struct db_tx *tx, void *arg)
{
    struct marks *m = arg;
    struct blob_id *live, *objects;
    size_t live_n, n = 0;
    size_t objects_n = marked_objects(tx->ctx, m, &objects);
    sort_marks(m);
    enum err e = find_live(tx, m, &live, &live_n);
    struct db_value *each = talloc_array(tx->ctx, struct db_value, BLOB_MARK_SET_COUNT * m->n + 1);
    for (size_t i = 0; e == OK && i < m->n; i++) {
        const struct blob_mark *mark = &m->list[i];
        if (is_settled(mark, live, live_n))
            continue;
        struct db_value *v = &each[BLOB_MARK_SET_COUNT * n++];
        v[BLOB_MARK_SET_SHA256] = db_bytes(mark->blob.sha256, BLOB_HASH);
        v[BLOB_MARK_SET_SIZE] = db_number(mark->blob.size);
        v[BLOB_MARK_SET_DEAD] = db_number(mark->is_dead);
        /* a blob is discarded also if its object could not be stored: no row may name that one */
        v[BLOB_MARK_SET_OBJECT] = mark->is_dead ? db_null() : db_id(&mark->blob.object);
    }
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_BLOB_MARK, NULL, 0, each, BLOB_MARK_SET_COUNT, n, NULL);
    return e == OK ? bury_unnamed(tx, objects, objects_n) : e;
}

static void add_marks(struct db_tx *tx, const struct blob_id *ids, size_t n, bool is_dead)
{
    if (n == 0)
        return;
    if (!tx->before_commit) {
        tx->before_commit = write_marks;
        tx->before_commit_arg = talloc_zero(tx->ctx, struct marks);
    }
    struct marks *m = tx->before_commit_arg;
    if (m->n + n > talloc_array_length(m->list))
        m->list = talloc_realloc(m, m->list, struct blob_mark, 2 * m->n + n);
    for (size_t i = 0; i < n; i++)
        m->list[m->n++] = (struct blob_mark){.blob = ids[i], .is_dead = is_dead};
}

void blob_mark_used(struct db_tx *tx, const struct blob_id *ids, size_t n)
{
    add_marks(tx, ids, n, false);
}

void blob_mark_dead(struct db_tx *tx, const struct blob_id *ids, size_t n)
{
    add_marks(tx, ids, n, true);
}

struct discard {
    const struct blob_id *ids;
    size_t n;
};

static enum err discard_work(struct db_tx *tx, void *arg)
{
    const struct discard *d = arg;
    blob_mark_dead(tx, d->ids, d->n);
    return OK;
}

enum err blob_discard(struct db *db, const struct blob_id *ids, size_t n)
{
    struct discard d = {ids, n};
    return n > 0 ? db_transaction(db, discard_work, &d) : OK;
}

struct keeping {
    const struct blob_id *ids;
    size_t n;
};

static enum err keep_work(struct db_tx *tx, void *arg)
{
    const struct keeping *k = arg;
    blob_mark_used(tx, k->ids, k->n);
    return OK;
}

enum err blob_keep(struct db *db, const struct blob_id *ids, size_t n)
{
    struct keeping k = {ids, n};
    return n > 0 ? db_transaction(db, keep_work, &k) : OK;
}

/* --- where the bytes are --- */

enum err blob_find_objects(struct db *db, void *ctx, struct blob_id *blobs, size_t n)
{
    struct db_value *hashes = talloc_array(ctx, struct db_value, n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < n; i++)
        hashes[i] = db_bytes(blobs[i].sha256, BLOB_HASH);
    enum err e = db_run_each(db, ctx, SQL_BLOB_OBJECT, NULL, 0, hashes, 1, n, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        for (size_t i = 0; i < n; i++) {
            if (memcmp(blobs[i].sha256, db_str(rows, r, BLOB_OBJECT_SHA256), BLOB_HASH) == 0)
                blobs[i].object = db_get_id(rows, r, BLOB_OBJECT_OBJECT);
        }
    }
    return e;
}

enum err blob_read(struct db *db, struct blob_store *store, const uint8_t sha256[BLOB_HASH], int *fd_r)
{
    struct blob_id blob = {0};
    void *ctx = talloc_new(NULL);
    enum err e = OK;
    memcpy(blob.sha256, sha256, BLOB_HASH);
    if (blob_store_objects(store))
        e = blob_find_objects(db, ctx, &blob, 1);
    talloc_free(ctx);
    *fd_r = -1;
    if (e == OK && id_is_set(&blob.object))
        return blob_fetch(store, &blob, fd_r);
    if (e == OK)
        *fd_r = blob_open(store, sha256);
    return e == OK && *fd_r < 0 ? ERR_NOT_FOUND : e;
}

/* --- removing --- */

struct removal {
    struct blob_store *store;
    uint64_t n;
};

/* The bytes are removed after this transaction: a request to the object store may take longer than one may.
 */
static void add_dead(struct db_value *dead, size_t place, const struct db_rows *rows, size_t row)
{
    const struct db_cell *object = db_cell(rows, row, BLOB_DEAD_OBJECT);
    struct db_value *v = &dead[DEAD_VALUES * place];
    v[DEAD_OBJECT] = db_text(object->text);
    v[DEAD_SHA256] = db_bytes(db_str(rows, row, BLOB_DEAD_SHA256), BLOB_HASH);
}

static enum err remove_work(struct db_tx *tx, void *arg)
{
    struct removal *r = arg;
    struct db_value revived[BLOB_REMOVE_MAX], young[BLOB_REMOVE_MAX], removed[BLOB_REMOVE_MAX];
    struct db_value *dead = talloc_array(tx->ctx, struct db_value, DEAD_VALUES * BLOB_REMOVE_MAX);
    size_t revived_n = 0, young_n = 0, removed_n = 0, dead_n = 0;
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_BLOB_DEAD, NULL, 0, &rows);
    r->n = e == OK ? rows->count : 0;
    for (size_t i = 0; i < r->n && i < BLOB_REMOVE_MAX; i++) {
        const uint8_t *sha256 = (const uint8_t *)db_str(rows, i, BLOB_DEAD_SHA256);
        struct db_value hash = db_bytes(sha256, BLOB_HASH);
        if (db_int(rows, i, BLOB_DEAD_IS_REFERENCED))
            revived[revived_n++] = hash;
        else if (!db_cell(rows, i, BLOB_DEAD_OBJECT)->is_null)
            add_dead(dead, dead_n++, rows, i);
        else if (blob_remove(r->store, sha256))
            removed[removed_n++] = hash;
        else
            young[young_n++] = hash;
    }
    for (size_t i = 0; i < dead_n; i++)
        removed[removed_n++] = dead[DEAD_VALUES * i + DEAD_SHA256];
    if (removed_n > 0)
        failpoint("blob.after_unlink");
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_DEAD_OBJECT_ADD, NULL, 0, dead, DEAD_VALUES, dead_n, NULL);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_BLOB_REVIVE, NULL, 0, revived, 1, revived_n, NULL);
    if (e == OK)
        e = db_run_each(tx->db, tx->ctx, SQL_BLOB_KEEP_DEAD, NULL, 0, young, 1, young_n, NULL);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_BLOB_DELETE, NULL, 0, removed, 1, removed_n, NULL) : e;
}

enum err blob_remove_dead(struct db *db, struct blob_store *store, uint64_t *n_r)
{
    struct removal r = {.store = store};
    enum err e = db_transaction(db, remove_work, &r);
    *n_r = e == OK ? r.n : 0;
    return e;
}

/* An object is dead while nothing names it yet, if its writer took longer than the sweep waits. */
static enum err is_named(struct db *db, void *ctx, const struct blob_id *blob, bool *named_r)
{
    struct blob_id known = {0};
    memcpy(known.sha256, blob->sha256, BLOB_HASH);
    enum err e = blob_find_objects(db, ctx, &known, 1);
    *named_r = e == OK && id_equal(&known.object, &blob->object);
    return e;
}

enum err blob_remove_objects(struct db *db, struct blob_store *store, uint64_t *n_r)
{
    void *ctx = talloc_new(NULL);
    struct db_value removed[BLOB_REMOVE_MAX], failed[BLOB_REMOVE_MAX];
    size_t removed_n = 0, failed_n = 0;
    struct db_rows *rows;
    struct object_store *objects = blob_store_objects(store);
    int64_t until_ms = clock_boot_ms() + REMOVE_MS;
    bool over = false;
    enum err e = objects ? db_run(db, ctx, SQL_DEAD_OBJECT_LIST, NULL, 0, &rows) : OK;
    *n_r = 0;
    for (size_t i = 0; objects && e == OK && !over && i < rows->count && i < BLOB_REMOVE_MAX; i++) {
        struct blob_id blob = {.object = db_get_id(rows, i, DEAD_OBJECT_LIST_OBJECT)};
        char key[BLOB_KEY + 1];
        memcpy(blob.sha256, db_str(rows, i, DEAD_OBJECT_LIST_SHA256), BLOB_HASH);
        blob_object_key(&blob, key);
        struct db_value object = db_text(db_str(rows, i, DEAD_OBJECT_LIST_OBJECT));
        bool named;
        e = is_named(db, ctx, &blob, &named);
        if (e != OK)
            break;
        if (named)
            log_warn("blob.object_revived", "name=%s", key);
        if (named || object_delete(objects, key) == OK)
            removed[removed_n++] = object;
        else
            failed[failed_n++] = object;
        over = failed_n > 0 || clock_boot_ms() > until_ms;
    }
    if (removed_n > 0)
        failpoint("blob.after_object_delete");
    if (e == OK)
        e = db_run_each(db, ctx, SQL_DEAD_OBJECT_DELETE, NULL, 0, removed, 1, removed_n, NULL);
    if (e == OK)
        e = db_run_each(db, ctx, SQL_DEAD_OBJECT_TOUCH, NULL, 0, failed, 1, failed_n, NULL);
    if (e == OK)
        *n_r = removed_n;
    talloc_free(ctx);
    return e == OK && failed_n > 0 ? ERR_UNAVAILABLE : e;
}

/* --- comparing files and rows --- */

static bool has_row(const struct db_rows *rows, const uint8_t *sha256)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (memcmp(db_str(rows, i, BLOB_FIND_SHA256), sha256, BLOB_HASH) == 0)
            return true;
    }
    return false;
}

/* `n` is at most 64: a part of a folder's files. */
static enum err add_missing_rows(struct db *db, void *ctx, const struct blob_id *files, size_t n)
{
    struct db_value *hashes = talloc_array(ctx, struct db_value, n + 1);
    struct blob_id *without = talloc_zero_array(ctx, struct blob_id, n + 1);
    struct db_rows *rows;
    size_t without_n = 0;
    for (size_t i = 0; i < n; i++)
        hashes[i] = db_bytes(files[i].sha256, BLOB_HASH);
    enum err e = db_run_each(db, ctx, SQL_BLOB_FIND, NULL, 0, hashes, 1, n, &rows);
    for (size_t i = 0; e == OK && i < n; i++) {
        if (!has_row(rows, files[i].sha256))
            without[without_n++] = files[i];
    }
    if (without_n > 0)
        log_info("blob.sweep_found", "files_without_row=%zu", without_n);
    return e == OK ? blob_discard(db, without, without_n) : e;
}

static enum err sweep_files(struct db *db, struct blob_store *store, int shard)
{
    enum { PART = 64 };
    void *ctx = talloc_new(NULL);
    struct blob_id *files;
    size_t n = blob_list_shard(ctx, store, shard, &files);
    enum err e = OK;
    for (size_t at = 0; e == OK && at < n; at += PART)
        e = add_missing_rows(db, ctx, files + at, n - at < PART ? n - at : PART);
    talloc_free(ctx);
    return e;
}

static void report_missing(const struct blob_store *store, const uint8_t *sha256)
{
    char name[BLOB_NAME + 1];
    if (blob_exists(store, sha256))
        return;
    blob_name(sha256, name);
    log_error("blob.missing", "name=%s", name);
}

/* The first object of an upload, or of a run's outputs, is stored before the last one, and a slow store may
 * take hours for all. The row comes after them. */
enum { OBJECT_OLD_S = 24 * 3600 };

static enum err sweep_objects(struct db *db, const struct blob_store *store, const uint8_t after[BLOB_HASH],
                              const struct db_rows *rows, bool *more_r)
{
    void *ctx = talloc_new(NULL);
    struct blob_difference *list;
    size_t n, dead_n = 0;
    enum err e = blob_compare_objects(store, ctx, after, rows, !*more_r, &list, &n);
    struct db_value *dead = talloc_array(ctx, struct db_value, DEAD_VALUES * n + 1);
    for (size_t i = 0; i < n; i++) {
        char key[BLOB_KEY + 1];
        blob_object_key(&list[i].blob, key);
        if (list[i].kind != BLOB_OBJECT_EXTRA)
            log_error("blob.missing", "name=%s size=%lld", key, (long long)list[i].blob.size);
        if (list[i].kind != BLOB_OBJECT_EXTRA || list[i].age_s < OBJECT_OLD_S)
            continue;
        dead[DEAD_VALUES * dead_n + DEAD_OBJECT] = db_id(&list[i].blob.object);
        dead[DEAD_VALUES * dead_n + DEAD_SHA256] = db_bytes(list[i].blob.sha256, BLOB_HASH);
        dead_n++;
    }
    if (e == OK)
        e = db_run_each(db, ctx, SQL_DEAD_OBJECT_ADD, NULL, 0, dead, DEAD_VALUES, dead_n, NULL);
    if (e == OK && dead_n > 0)
        log_info("blob.sweep_found", "objects_without_row=%zu", dead_n);
    talloc_free(ctx);
    if (e == ERR_UNAVAILABLE) { /* or MariaDB is */
        *more_r = false;
        log_warn("blob.sweep_ended",
                 "message=\"the object store cannot be reached; the next sweep compares\"");
        e = OK;
    }
    return e;
}

static enum err sweep_rows(struct db *db, const struct blob_store *store, struct blob_sweep *sweep,
                           bool *more_r)
{
    void *ctx = talloc_new(NULL);
    struct blob_id from = {0};
    memcpy(from.sha256, sweep->after, BLOB_HASH);
    struct db_value after = db_bytes(from.sha256, BLOB_HASH);
    struct blob_id *unused = talloc_zero_array(ctx, struct blob_id, PAGE_MAX);
    struct db_rows *rows;
    size_t unused_n = 0;
    enum err e = db_run(db, ctx, SQL_BLOB_PAGE, &after, 1, &rows);
    *more_r = e == OK && rows->count == PAGE_MAX;
    for (size_t i = 0; e == OK && i < rows->count && i < PAGE_MAX; i++) {
        const uint8_t *sha256 = (const uint8_t *)db_str(rows, i, BLOB_PAGE_SHA256);
        memcpy(sweep->after, sha256, BLOB_HASH);
        if (db_int(rows, i, BLOB_PAGE_IS_REFERENCED)) {
            if (db_cell(rows, i, BLOB_PAGE_OBJECT)->is_null)
                report_missing(store, sha256);
        } else if (!db_int(rows, i, BLOB_PAGE_DEAD) && db_int(rows, i, BLOB_PAGE_IS_OLD)) {
            memcpy(unused[unused_n].sha256, sha256, BLOB_HASH);
            unused[unused_n++].size = db_int(rows, i, BLOB_PAGE_SIZE);
        }
    }
    if (e == OK)
        e = blob_discard(db, unused, unused_n);
    if (e == OK && blob_store_objects(store))
        e = sweep_objects(db, store, from.sha256, rows, more_r);
    talloc_free(ctx);
    return e;
}

enum err blob_sweep_step(struct db *db, struct blob_store *store, struct blob_sweep *sweep, bool *more_r)
{
    enum err e;
    *more_r = true;
    if (sweep->shard < BLOB_SHARDS)
        e = sweep_files(db, store, sweep->shard++);
    else
        e = sweep_rows(db, store, sweep, more_r);
    if (e != OK || !*more_r)
        *sweep = (struct blob_sweep){0};
    return e;
}
