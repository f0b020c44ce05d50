#include "cli/workspace_owned.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

enum { ID_BYTES = 16, IDS_FIRST = 1024, TABLES_MAX = 128, NAME_MAX_SIZE = 64 };

/* Of one table. Not of talloc, whose pieces end at 256 MiB. */
struct ids {
    uint8_t *at;
    size_t n, room;
    bool is_sorted;
};

struct owned {
    id workspace;
    /* of the table at which the file is: the columns of what it is of and of its id, -1: nobody asks for it
     */
    const struct workspace_table *table, *parent;
    int column, id_column;
    struct ids ids[TABLES_MAX];
};

static int owned_free(struct owned *o)
{
    for (size_t i = 0; i < TABLES_MAX; i++)
        free(o->ids[i].at);
    return 0;
}

struct owned *owned_new(void *ctx, const id *workspace)
{
    struct owned *o = talloc_zero(ctx, struct owned);
    o->workspace = *workspace;
    talloc_set_destructor(o, owned_free);
    return o;
}

static bool read_id(struct span cell, uint8_t bytes_r[ID_BYTES])
{
    size_t size;
    return cell.at && cell.size == ID_LENGTH &&
           sodium_hex2bin(bytes_r, ID_BYTES, cell.at, cell.size, "-", &size, NULL) == 0 && size == ID_BYTES;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, ID_BYTES);
}

static bool add(struct ids *ids, struct span cell)
{
    uint8_t bytes[ID_BYTES];
    if (!read_id(cell, bytes))
        return false;
    if (ids->n == ids->room) {
        size_t room = ids->room ? 2 * ids->room : IDS_FIRST;
        uint8_t *at = realloc(ids->at, room * ID_BYTES);
        if (!at)
            return false;
        ids->at = at;
        ids->room = room;
    }
    ids->is_sorted = ids->is_sorted || ids->n == 0;
    if (ids->n > 0 && compare(ids->at + (ids->n - 1) * ID_BYTES, bytes) > 0)
        ids->is_sorted = false;
    memcpy(ids->at + ids->n++ * ID_BYTES, bytes, ID_BYTES);
    return true;
}

static bool has(struct ids *ids, struct span cell)
{
    uint8_t bytes[ID_BYTES];
    if (!read_id(cell, bytes) || ids->n == 0)
        return false;
    if (!ids->is_sorted)
        qsort(ids->at, ids->n, ID_BYTES, compare);
    ids->is_sorted = true;
    return bsearch(bytes, ids->at, ids->n, ID_BYTES, compare) != NULL;
}

/* The table of whose rows `where` asks for the ids; NULL: it asks for none. */
static const struct workspace_table *parent_of(const char *where)
{
    static const char from[] = "IN (SELECT id FROM ";
    const char *at = strstr(where, from);
    size_t size = at ? strcspn(at + sizeof from - 1, " ") : 0;
    for (const struct workspace_table *t = workspace_tables; at && t->name; t++) {
        if (strlen(t->name) == size && strncmp(at + sizeof from - 1, t->name, size) == 0)
            return t;
    }
    return NULL;
}

static bool is_parent(const struct workspace_table *table)
{
    for (const struct workspace_table *t = workspace_tables; t->name; t++) {
        if (t->where && parent_of(t->where) == table)
            return true;
    }
    return false;
}

static void begin_table(struct owned *o, const struct workspace_table *t, const char *columns)
{
    char name[NAME_MAX_SIZE] = "";
    size_t size = strcspn(t->where, " ");
    if (size < sizeof name)
        memcpy(name, t->where, size);
    o->table = t;
    o->column = workspace_column(columns, name);
    o->id_column = is_parent(t) ? workspace_column(columns, "id") : -1;
    o->parent = parent_of(t->where);
}

bool owned_take(struct owned *o, const struct workspace_table *t, const char *columns,
                const struct span *cells)
{
    if (strcmp(t->name, "tenants") == 0) /* one that is there stays as it is */
        return true;
    if (o->table != t)
        begin_table(o, t, columns);
    if (o->column < 0)
        return false;
    struct span named = cells[o->column];
    bool is_own =
        o->parent ? has(&o->ids[o->parent - workspace_tables], named) : span_is(named, o->workspace.text);
    return is_own && (o->id_column < 0 || add(&o->ids[t - workspace_tables], cells[o->id_column]));
}
