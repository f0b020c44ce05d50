#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "blob/blob_rows.h"

enum { START_SIZE = 2 * BLOB_HASH + 3 };

struct comparison {
    void *ctx;
    const struct db_rows *page;
    /* for each row of the page: its object was seen */
    bool *seen;
    /* NULL: to the end */
    const uint8_t *last;
    struct blob_difference *list;
    size_t n;
};

static void add_difference(struct comparison *c, enum blob_difference_kind kind, const struct blob_id *blob,
                           int64_t age_s)
{
    if (c->n < BLOB_DIFFERENCES_MAX)
        c->list[c->n++] = (struct blob_difference){.kind = kind, .blob = *blob, .age_s = age_s};
}

/* The row of the page with this hash; page->count: there is none. The page is in the order of the hashes. */
static size_t find_row(const struct db_rows *page, const uint8_t sha256[BLOB_HASH])
{
    size_t low = 0, high = page->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(db_str(page, middle, BLOB_PAGE_SHA256), sha256, BLOB_HASH);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return page->count;
}

/* The younger of what the store and the object's name say: their clocks may differ. */
static int64_t age_of(const struct object_entry *entry, const id *object)
{
    int64_t made_ms = id_ms(object);
    return (clock_wall_ms() - (made_ms > entry->modified_ms ? made_ms : entry->modified_ms)) / 1000;
}

/* False: the object is behind the range. */
static bool compare_entry(struct comparison *c, const struct object_entry *entry)
{
    struct blob_id blob;
    if (!blob_of_object_key(entry->key, &blob))
        return true; /* not ours */
    if (c->last && memcmp(blob.sha256, c->last, BLOB_HASH) > 0)
        return false;
    size_t row = find_row(c->page, blob.sha256);
    blob.size = entry->size;
    id object = row < c->page->count ? db_get_id(c->page, row, BLOB_PAGE_OBJECT) : (id){0};
    if (!id_equal(&object, &blob.object)) {
        add_difference(c, BLOB_OBJECT_EXTRA, &blob, age_of(entry, &blob.object));
        return true;
    }
    c->seen[row] = true;
    if (entry->size != db_int(c->page, row, BLOB_PAGE_SIZE))
        add_difference(c, BLOB_OBJECT_OTHER_SIZE, &blob, 0);
    return true;
}

static enum err compare_list(struct comparison *c, struct object_store *objects, const char *after)
{
    bool more = true, in_range = true;
    enum err e = OK;
    char *from = talloc_strdup(c->ctx, after);
    while (e == OK && more && in_range) {
        void *part = talloc_new(c->ctx);
        struct object_entry *entries;
        size_t n;
        e = object_list(objects, part, from, OBJECT_LIST_MAX, &entries, &n, &more);
        for (size_t i = 0; e == OK && i < n && in_range; i++)
            in_range = compare_entry(c, &entries[i]);
        more = more && n > 0;
        if (e == OK && n > 0)
            from = talloc_strdup(c->ctx, entries[n - 1].key);
        talloc_free(part);
    }
    return e;
}

/* A list may be older than the store's objects, as it is in some stores: what it lacks is looked at once
 * more.
 */
static enum err check_unseen(struct comparison *c, struct object_store *objects)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < c->page->count; i++) {
        struct blob_id blob = {.size = db_int(c->page, i, BLOB_PAGE_SIZE),
                               .object = db_get_id(c->page, i, BLOB_PAGE_OBJECT)};
        char key[BLOB_KEY + 1];
        if (c->seen[i] || !id_is_set(&blob.object) || !db_int(c->page, i, BLOB_PAGE_IS_REFERENCED))
            continue;
        memcpy(blob.sha256, db_str(c->page, i, BLOB_PAGE_SHA256), BLOB_HASH);
        blob_object_key(&blob, key);
        e = object_look(objects, key);
        if (e != ERR_NOT_FOUND)
            continue;
        add_difference(c, BLOB_OBJECT_MISSING, &blob, 0);
        e = OK;
    }
    return e;
}

enum err blob_compare_objects(const struct blob_store *store, void *ctx, const uint8_t after[BLOB_HASH],
                              const struct db_rows *page, bool to_end, struct blob_difference **list_r,
                              size_t *n_r)
{
    static const uint8_t none[BLOB_HASH];
    struct object_store *objects = blob_store_objects(store);
    struct comparison c = {.ctx = ctx, .page = page, .seen = talloc_zero_array(ctx, bool, page->count + 1)};
    char start[START_SIZE] = "", name[BLOB_NAME + 1];
    if (!to_end && page->count > 0)
        c.last = (const uint8_t *)db_str(page, page->count - 1, BLOB_PAGE_SHA256);
    if (memcmp(after, none, BLOB_HASH) != 0) {
        blob_name(after, name);
        /* behind all objects of the last hash: "~" is greater than what a UUID holds */
        memcpy(start, name + BLOB_NAME - 2 * BLOB_HASH, 2 * BLOB_HASH);
        memcpy(start + 2 * BLOB_HASH, "/~", 3);
    }
    c.list = talloc_array(ctx, struct blob_difference, BLOB_DIFFERENCES_MAX);
    enum err e = compare_list(&c, objects, start);
    if (e == OK)
        e = check_unseen(&c, objects);
    *list_r = c.list;
    *n_r = e == OK ? c.n : 0;
    return e;
}
