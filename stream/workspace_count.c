#include "stream/workspace_count.h"

#include <talloc.h>
#include <uthash.h>

struct workspace_count {
    id workspace;
    int open;
    size_t held;
    UT_hash_handle hh;
};

struct workspace_counts {
    /* Workspaces with at least one. */
    struct workspace_count *open;
    size_t held;
};

static struct workspace_count *find_count(const struct workspace_counts *counts, const id *workspace)
{
    struct workspace_count *found;
    HASH_FIND(hh, counts->open, workspace->text, ID_LENGTH, found);
    return found;
}

static int counts_destroy(struct workspace_counts *counts)
{
    HASH_CLEAR(hh, counts->open);
    return 0;
}

struct workspace_counts *workspace_counts_new(void *ctx)
{
    struct workspace_counts *counts = talloc_zero(ctx, struct workspace_counts);
    talloc_set_destructor(counts, counts_destroy);
    return counts;
}

bool workspace_counts_add(struct workspace_counts *counts, const id *workspace, int max)
{
    struct workspace_count *count = find_count(counts, workspace);
    if ((count ? count->open : 0) >= max)
        return false;
    if (!count) {
        count = talloc_zero(counts, struct workspace_count);
        count->workspace = *workspace;
        HASH_ADD(hh, counts->open, workspace.text, ID_LENGTH, count);
    }
    count->open++;
    return true;
}

void workspace_counts_remove(struct workspace_counts *counts, const id *workspace)
{
    struct workspace_count *count = find_count(counts, workspace);
    if (--count->open > 0)
        return;
    HASH_DELETE(hh, counts->open, count);
    talloc_free(count);
}

int workspace_counts_get(const struct workspace_counts *counts, const id *workspace)
{
    const struct workspace_count *count = find_count(counts, workspace);
    return count ? count->open : 0;
}

bool workspace_counts_hold(struct workspace_counts *counts, const id *workspace, size_t bytes, size_t max,
                           size_t max_all)
{
    struct workspace_count *count = find_count(counts, workspace);
    if (bytes > max || count->held > max - bytes || bytes > max_all || counts->held > max_all - bytes)
        return false;
    count->held += bytes;
    counts->held += bytes;
    return true;
}

void workspace_counts_release(struct workspace_counts *counts, const id *workspace, size_t bytes)
{
    find_count(counts, workspace)->held -= bytes;
    counts->held -= bytes;
}

size_t workspace_counts_held(const struct workspace_counts *counts)
{
    return counts->held;
}
