#include "executor/cache/current_rows.h"

#include <string.h>
#include <talloc.h>

#include "base/lru.h"

struct current_rows {
    struct lru *rows;
};

/* Characters only, so without padding. */
struct current_row_key {
    id workspace_id;
    char name[CURRENT_ROW_NAME_MAX];
};

struct current_rows *current_rows_new(void *ctx)
{
    struct current_rows *all = talloc_zero(ctx, struct current_rows);
    all->rows = lru_new(all, sizeof(struct current_row_key), CURRENT_ROWS_MAX, CURRENT_ROWS_MAX);
    return all;
}

/* False: the name is too long. */
static bool fill_key(struct current_row_key *key, const id *workspace, const char *name)
{
    size_t n = strlen(name);
    if (n > sizeof key->name)
        return false;
    memset(key, 0, sizeof *key); /* compared as bytes */
    key->workspace_id = *workspace;
    memcpy(key->name, name, n);
    return true;
}

const struct current_row *current_rows_get(const struct current_rows *all, const id *workspace,
                                           const char *name, int64_t now_ms)
{
    struct current_row_key key;
    const struct current_row *row = fill_key(&key, workspace, name) ? lru_get(all->rows, &key) : NULL;
    return row && now_ms - row->read_ms < CURRENT_ROW_MS ? row : NULL;
}

void current_rows_put(struct current_rows *all, const id *workspace, const char *name,
                      const struct current_row *row)
{
    struct current_row_key key;
    if (fill_key(&key, workspace, name))
        lru_put(all->rows, &key, talloc_memdup(NULL, row, sizeof *row), 1);
}

void current_rows_forget(struct current_rows *all, const id *workspace, const char *name,
                         int64_t catalog_version)
{
    struct current_row_key key;
    const struct current_row *row = fill_key(&key, workspace, name) ? lru_get(all->rows, &key) : NULL;
    if (row && row->catalog_version == catalog_version)
        lru_remove(all->rows, &key);
}
