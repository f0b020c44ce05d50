#include "store/share_limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"

struct share_limits {
    const struct config *config;
    /* Protects everything below. */
    pthread_mutex_t lock;
    /* Sorted by workspace and quota. */
    struct share_row *rows;
    size_t n;
    int64_t due_ms;
};

static int limits_destroy(struct share_limits *l)
{
    pthread_mutex_destroy(&l->lock);
    return 0;
}

struct share_limits *share_limits_new(void *ctx, const struct config *config)
{
    struct share_limits *l = talloc_zero(ctx, struct share_limits);
    l->config = config;
    pthread_mutex_init(&l->lock, NULL);
    talloc_set_destructor(l, limits_destroy);
    return l;
}

static int compare_rows(const void *a, const void *b)
{
    const struct share_row *x = a, *y = b;
    int order = strcmp(x->workspace.text, y->workspace.text);
    return order ? order : (int)x->quota - (int)y->quota;
}

void share_limits_put(struct share_limits *l, const struct share_row *rows, size_t n)
{
    struct share_row *copy = talloc_array(NULL, struct share_row, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = rows[i];
    if (n > 0)
        qsort(copy, n, sizeof *copy, compare_rows);
    pthread_mutex_lock(&l->lock);
    talloc_free(l->rows);
    l->rows = talloc_steal(l, copy);
    l->n = n;
    pthread_mutex_unlock(&l->lock);
}

static bool is_due(struct share_limits *l)
{
    const int64_t now_ms = clock_boot_ms();
    pthread_mutex_lock(&l->lock);
    bool due = now_ms >= l->due_ms;
    if (due)
        l->due_ms = now_ms + SHARE_LIMITS_AGE_MS;
    pthread_mutex_unlock(&l->lock);
    return due;
}

enum err share_limits_refresh(struct share_limits *l, struct db *db)
{
    struct db_value limit = db_number(SHARE_LIMITS_MAX);
    struct db_rows *read;
    if (!is_due(l))
        return OK;
    void *ctx = talloc_new(NULL);
    enum err e = db_run(db, ctx, SQL_QUOTA_SHARES, &limit, 1, &read);
    struct share_row *rows = talloc_array(ctx, struct share_row, e == OK ? read->count + 1 : 1);
    for (size_t i = 0; e == OK && i < read->count; i++)
        rows[i] = (struct share_row){db_get_id(read, i, QUOTA_SHARES_WORKSPACE_ID),
                                     quota_find(db_str(read, i, QUOTA_SHARES_NAME)),
                                     db_int(read, i, QUOTA_SHARES_VALUE)};
    if (e == OK)
        share_limits_put(l, rows, read->count);
    talloc_free(ctx);
    return e;
}

size_t share_limits_get(struct share_limits *l, enum quota quota, const id *workspace)
{
    const struct share_row key = {.workspace = *workspace, .quota = quota};
    pthread_mutex_lock(&l->lock);
    const struct share_row *row = l->n > 0 ? bsearch(&key, l->rows, l->n, sizeof key, compare_rows) : NULL;
    int64_t limit = row ? row->value : quota_setting(l->config, quota);
    pthread_mutex_unlock(&l->lock);
    return limit > 1 ? (size_t)limit : 1;
}
