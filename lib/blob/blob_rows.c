#include "blob/blob_rows.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/failpoint.h"
#include "base/log.h"

enum { PAGE_MAX = 500 /* the LIMIT of blob_page.sql */ };

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

/* The hashes of those used blobs whose rows are live. Reads without a lock. */
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
    *live_r = talloc_array(tx->ctx, struct blob_id, rows->count + 1);
    for (; *n_r < rows->count; (*n_r)++)
        memcpy((*live_r)[*n_r].sha256, db_str(rows, *n_r, BLOB_LIVE_SHA256), BLOB_HASH);
    qsort(*live_r, *n_r, sizeof **live_r, compare_blobs);
    return OK;
}

/* A used blob whose row is live needs no mark, and equal artifacts of many runs wait for no lock. If another
 * transaction marks it as dead in the meantime, ten minutes pass before anybody removes it, and then the row
 * that this transaction writes names it. */
static enum err write_marks(struct db_tx *tx, void *arg)
{
    struct marks *m = arg;
    struct blob_id *live;
    size_t live_n, n = 0;
    sort_marks(m);
    enum err e = find_live(tx, m, &live, &live_n);
    struct db_value *each = talloc_array(tx->ctx, struct db_value, BLOB_MARK_SET_COUNT * m->n + 1);
    for (size_t i = 0; e == OK && i < m->n; i++) {
        const struct blob_mark *mark = &m->list[i];
        if (!mark->is_dead && bsearch(&mark->blob, live, live_n, sizeof *live, compare_blobs))
            continue;
        struct db_value *v = &each[BLOB_MARK_SET_COUNT * n++];
        v[BLOB_MARK_SET_SHA256] = db_bytes(mark->blob.sha256, BLOB_HASH);
        v[BLOB_MARK_SET_SIZE] = db_number(mark->blob.size);
        v[BLOB_MARK_SET_DEAD] = db_number(mark->is_dead);
    }
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_BLOB_MARK, NULL, 0, each, BLOB_MARK_SET_COUNT, n, NULL)
                   : e;
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

/* --- removing --- */

struct removal {
    struct blob_store *store;
    uint64_t n;
};

static enum err remove_work(struct db_tx *tx, void *arg)
{
    struct removal *r = arg;
    struct db_value revived[BLOB_REMOVE_MAX], young[BLOB_REMOVE_MAX], removed[BLOB_REMOVE_MAX];
    size_t revived_n = 0, young_n = 0, removed_n = 0;
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_BLOB_DEAD, NULL, 0, &rows);
    r->n = e == OK ? rows->count : 0;
    for (size_t i = 0; i < r->n && i < BLOB_REMOVE_MAX; i++) {
        const uint8_t *sha256 = (const uint8_t *)db_str(rows, i, BLOB_DEAD_SHA256);
        struct db_value hash = db_bytes(sha256, BLOB_HASH);
        if (db_int(rows, i, BLOB_DEAD_IS_REFERENCED))
            revived[revived_n++] = hash;
        else if (blob_remove(r->store, sha256))
            removed[removed_n++] = hash;
        else
            young[young_n++] = hash;
    }
    if (removed_n > 0)
        failpoint("blob.after_unlink");
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
    struct blob_id *without = talloc_array(ctx, struct blob_id, n + 1);
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

static enum err sweep_rows(struct db *db, const struct blob_store *store, struct blob_sweep *sweep,
                           bool *more_r)
{
    void *ctx = talloc_new(NULL);
    struct db_value after = db_bytes(sweep->after, BLOB_HASH);
    struct blob_id *unused = talloc_array(ctx, struct blob_id, PAGE_MAX);
    struct db_rows *rows;
    size_t unused_n = 0;
    enum err e = db_run(db, ctx, SQL_BLOB_PAGE, &after, 1, &rows);
    *more_r = e == OK && rows->count == PAGE_MAX;
    for (size_t i = 0; e == OK && i < rows->count && i < PAGE_MAX; i++) {
        const uint8_t *sha256 = (const uint8_t *)db_str(rows, i, BLOB_PAGE_SHA256);
        memcpy(sweep->after, sha256, BLOB_HASH);
        if (db_int(rows, i, BLOB_PAGE_IS_REFERENCED)) {
            report_missing(store, sha256);
        } else if (!db_int(rows, i, BLOB_PAGE_DEAD) && db_int(rows, i, BLOB_PAGE_IS_OLD)) {
            memcpy(unused[unused_n].sha256, sha256, BLOB_HASH);
            unused[unused_n++].size = db_int(rows, i, BLOB_PAGE_SIZE);
        }
    }
    if (e == OK)
        e = blob_discard(db, unused, unused_n);
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
