#include "store/execution_list.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "mariadb/db.h"

/* Reads the ids of a page first, then their rows; a page of one range without an offset and other conditions
 * at once (is_one_range). One responder (or any) with one state (or any) is one range of one index. Several
 * responders or states are several ranges: each is read in pieces, as far as the page needs, and they are
 * merged here. So no query sorts, and none reads beyond the end of the page. */

enum { PIECE = 1000 /* ids of one range read at once */ };

static const id highest = {"ffffffff-ffff-ffff-ffff-ffffffffffff"};
static const id lowest = {"00000000-0000-0000-0000-000000000000"};

struct id_range {
    /* NULL: any. */
    const id *responder;
    /* 0: any. */
    enum run_state state;
};

/* The same of a batch: its ids are of one millisecond and have the same end (id_derive). */
static enum err batch_range_ids(struct db *db, void *ctx, const id *workspace,
                                const struct execution_filter *f, const struct db_value *from,
                                const struct db_value *to, const struct db_value *responder,
                                const struct db_value *state, const struct db_value *window,
                                struct db_rows **rows_r)
{
    id first = id_derive(&f->batch, 0), last = id_derive(&f->batch, ID_DERIVED_MAX - 1);
    struct db_value tag = f->tag ? db_text(f->tag) : db_null();
    struct db_value args[] = {db_id(&first),
                              db_id(&last),
                              *from,
                              *to,
                              db_id(workspace),
                              db_text(first.text + ID_LENGTH - ID_DERIVED_TAIL),
                              *responder,
                              *responder,
                              *state,
                              *state,
                              tag,
                              tag,
                              window[0],
                              window[1]};
    return db_run(db, ctx, SQL_EXECUTION_LIST_BY_BATCH, args, 14, rows_r);
}

/* Ids of one range that are less than `below`, newest first. */
static enum err range_ids(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                          struct id_range range, const id *below, int64_t offset, int64_t limit,
                          struct db_rows **rows_r)
{
    struct db_value from = db_id(id_is_set(&f->above) ? &f->above : &lowest);
    struct db_value to = db_id(id_is_set(below) ? below : &highest);
    struct db_value ws = db_id(workspace);
    struct db_value state = db_number_or_null(range.state, range.state != 0);
    struct db_value responder = range.responder ? db_id(range.responder) : db_null();
    struct db_value window[] = {db_number(limit), db_number(offset)};
    if (id_is_set(&f->batch))
        return batch_range_ids(db, ctx, workspace, f, &from, &to, &responder, &state, window, rows_r);
    if (f->tag) {
        struct db_value args[] = {ws,
                                  db_text(f->tag),
                                  from,
                                  to,
                                  responder,
                                  responder,
                                  state,
                                  state,
                                  db_id(&f->parent),
                                  db_id(&f->parent),
                                  window[0],
                                  window[1]};
        return db_run(db, ctx, SQL_EXECUTION_LIST_BY_TAG, args, 12, rows_r);
    }
    if (id_is_set(&f->parent)) {
        struct db_value args[] = {db_id(&f->parent), ws,    from,  to,        responder,
                                  responder,         state, state, window[0], window[1]};
        return db_run(db, ctx, SQL_EXECUTION_LIST_BY_PARENT, args, 10, rows_r);
    }
    if (range.responder) {
        struct db_value args[] = {ws, responder, from, to, state, state, window[0], window[1]};
        return db_run(db, ctx, SQL_EXECUTION_LIST_BY_RESPONDER, args, 8, rows_r);
    }
    if (range.state) {
        struct db_value args[] = {ws, state, from, to, window[0], window[1]};
        return db_run(db, ctx, SQL_EXECUTION_LIST_BY_STATE, args, 6, rows_r);
    }
    struct db_value args[] = {ws, from, to, window[0], window[1]};
    return db_run(db, ctx, SQL_EXECUTION_LIST, args, 5, rows_r);
}

static void copy_ids(void *ctx, const struct db_rows *rows, id **ids_r, size_t *count_r)
{
    *ids_r = talloc_array(ctx, id, rows->count + 1);
    *count_r = rows->count;
    for (size_t i = 0; i < rows->count; i++)
        (*ids_r)[i] = db_get_id(rows, i, EXECUTION_LIST_ID);
}

static enum err one_range(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                          id **ids_r, size_t *count_r)
{
    struct id_range range = {f->responders_n ? f->responders : NULL, f->states_n ? f->states[0] : 0};
    struct db_rows *rows;
    enum err e = range_ids(db, ctx, workspace, f, range, &f->below, f->offset, f->limit, &rows);
    if (e != OK)
        return e;
    copy_ids(ctx, rows, ids_r, count_r);
    return OK;
}

/* --- by error --- */

/* The ids of the responders, separated by commas; NULL: any. */
static const char *join_responders(void *ctx, const struct execution_filter *f)
{
    char *text = f->responders_n > 0 ? talloc_strdup(ctx, f->responders[0].text) : NULL;
    for (size_t i = 1; i < f->responders_n; i++)
        text = talloc_asprintf_append_buffer(text, ",%s", f->responders[i].text);
    return text;
}

/* Of the newest failed runs, from the oldest of them on: one range, in which all conditions are compared. */
static enum err failed_range(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                             const id *oldest, struct db_rows **rows_r)
{
    bool has_batch = id_is_set(&f->batch);
    id first = has_batch ? id_derive(&f->batch, 0) : lowest;
    id last = has_batch ? id_derive(&f->batch, ID_DERIVED_MAX - 1) : highest;
    struct db_value tail = has_batch ? db_text(first.text + ID_LENGTH - ID_DERIVED_TAIL) : db_null();
    struct db_value responders = db_text(join_responders(ctx, f));
    struct db_value hash = db_number_or_null(f->error_hash, f->has_error_hash);
    struct db_value error = db_text(f->error), parent = db_id(&f->parent), tag = db_text(f->tag);
    struct db_value args[] = {db_id(workspace),
                              db_id(oldest),
                              db_id(id_is_set(&f->above) ? &f->above : &lowest),
                              db_id(id_is_set(&f->below) ? &f->below : &highest),
                              db_id(&first),
                              db_id(&last),
                              tail,
                              tail,
                              responders,
                              responders,
                              hash,
                              hash,
                              error,
                              error,
                              parent,
                              parent,
                              tag,
                              tag,
                              db_number(f->limit),
                              db_number(f->offset)};
    return db_run(db, ctx, SQL_EXECUTION_LIST_BY_FAILURE, args, sizeof args / sizeof *args, rows_r);
}

static enum err failed_runs(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                            id **ids_r, size_t *count_r)
{
    struct db_value args[] = {db_id(workspace), db_number(EXECUTION_FAILURES_MAX - 1)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_FAILURES_OLDEST, args, 2, &rows);
    id oldest = e == OK && rows->count > 0 ? db_get_id(rows, 0, FAILURES_OLDEST_EXECUTION_ID) : lowest;
    if (e == OK)
        e = failed_range(db, ctx, workspace, f, &oldest, &rows);
    if (e == OK)
        copy_ids(ctx, rows, ids_r, count_r);
    return e;
}

/* --- several ranges --- */

/* Reads a range piece by piece. */
struct range_reader {
    struct id_range range;
    /* The present piece. */
    struct db_rows *rows;
    size_t next;
    /* The last piece was empty: the range has no more ids. */
    bool ended;
};

struct range_merge {
    struct db *db;
    const id *workspace;
    const struct execution_filter *f;
    struct range_reader *streams;
    size_t n;
    int64_t piece;
};

/* Reads the next piece if the present one is used up. */
static enum err range_reader_fill(struct range_merge *m, struct range_reader *s)
{
    id below = m->f->below;
    if (s->ended || (s->rows && s->next < s->rows->count))
        return OK;
    if (s->rows)
        below = db_get_id(s->rows, s->rows->count - 1, EXECUTION_LIST_ID);
    struct db_rows *rows;
    enum err e = range_ids(m->db, m->streams, m->workspace, m->f, s->range, &below, 0, m->piece, &rows);
    if (e != OK)
        return e;
    talloc_free(s->rows);
    s->rows = rows;
    s->next = 0;
    s->ended = rows->count == 0;
    return OK;
}

/* The newest id of all ranges; NULL: all have ended. */
static enum err merge_next(struct range_merge *m, const char **id_r)
{
    struct range_reader *newest = NULL;
    *id_r = NULL;
    for (size_t i = 0; i < m->n; i++) {
        struct range_reader *s = &m->streams[i];
        enum err e = range_reader_fill(m, s);
        if (e != OK)
            return e;
        if (s->ended)
            continue;
        const char *text = db_str(s->rows, s->next, EXECUTION_LIST_ID);
        if (!newest || strcmp(text, *id_r) > 0) {
            newest = s;
            *id_r = text;
        }
    }
    if (newest)
        newest->next++;
    return OK;
}

static void open_range_readers(struct range_merge *m, void *ctx)
{
    const struct execution_filter *f = m->f;
    size_t responders = f->responders_n ? f->responders_n : 1;
    size_t states = f->states_n ? f->states_n : 1;
    int64_t end = f->offset + f->limit;
    m->n = responders * states;
    m->piece = end < PIECE ? end : PIECE;
    m->streams = talloc_zero_array(ctx, struct range_reader, m->n);
    for (size_t i = 0; i < m->n; i++)
        m->streams[i].range = (struct id_range){f->responders_n ? &f->responders[i / states] : NULL,
                                                f->states_n ? f->states[i % states] : 0};
}

static enum err merged_ranges(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                              id **ids_r, size_t *count_r)
{
    struct range_merge m = {.db = db, .workspace = workspace, .f = f};
    enum err e = OK;
    open_range_readers(&m, ctx);
    *ids_r = talloc_array(ctx, id, (size_t)f->limit + 1);
    *count_r = 0;
    for (int64_t i = 0; e == OK && i < f->offset + f->limit; i++) {
        const char *text;
        e = merge_next(&m, &text);
        if (e != OK || !text)
            break;
        if (i >= f->offset)
            id_parse(text, ID_LENGTH, &(*ids_r)[(*count_r)++]);
    }
    talloc_free(m.streams);
    return e;
}

enum err execution_list_ids(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                            id **ids_r, size_t *count_r)
{
    if (f->error || f->has_error_hash)
        return failed_runs(db, ctx, workspace, f, ids_r, count_r);
    return f->responders_n > 1 || f->states_n > 1 ? merged_ranges(db, ctx, workspace, f, ids_r, count_r)
                                                  : one_range(db, ctx, workspace, f, ids_r, count_r);
}

/* --- windows --- */

/* How a filter is read in windows: through the index that leaves least, without conditions on the rows, which
 * would read on and on until enough of them match. What the index does not say is compared here. */
struct window_plan {
    struct execution_filter f;
    struct id_range ranges[EXECUTION_RESPONDERS_MAX];
    size_t n;
    /* The ids of the ranges need not match. */
    bool is_compared;
};

static void plan_window(const struct execution_filter *f, struct window_plan *p)
{
    bool is_related = f->tag || id_is_set(&f->parent) || id_is_set(&f->batch);
    *p = (struct window_plan){.f = *f, .n = 1, .is_compared = is_related || f->responders_n > 0};
    if (f->tag)
        p->f.parent = (id){{0}};
    if (is_related)
        return;
    for (size_t i = 0; i < f->responders_n && i < EXECUTION_RESPONDERS_MAX; i++)
        p->ranges[i].responder = &f->responders[i];
    for (size_t i = 0; f->responders_n == 0 && i < f->states_n; i++)
        p->ranges[i].state = f->states[i];
    if (f->responders_n + f->states_n > 0)
        p->n = f->responders_n > 0 ? f->responders_n : f->states_n;
}

/* The first rows of each range, together at most EXECUTION_WINDOW. A range that has more ends the window. */
static enum err read_window(struct db *db, void *ctx, const id *workspace, const struct window_plan *p,
                            struct execution_window *w)
{
    const size_t piece = EXECUTION_WINDOW / p->n;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < p->n; i++) {
        struct db_rows *rows;
        e = range_ids(db, ctx, workspace, &p->f, p->ranges[i], &p->f.below, 0, (int64_t)piece, &rows);
        for (size_t r = 0; e == OK && r < rows->count; r++)
            w->ids[w->n++] = db_get_id(rows, r, EXECUTION_LIST_ID);
        if (e != OK || rows->count < piece)
            continue;
        if (w->is_last || id_compare(&w->ids[w->n - 1], &w->below) > 0)
            w->below = w->ids[w->n - 1];
        w->is_last = false;
    }
    return e;
}

/* Leaves out what lies below the window: other ranges have not been read so far. */
static void cut_window(struct execution_window *w)
{
    size_t kept = 0;
    for (size_t i = 0; !w->is_last && i < w->n; i++) {
        if (id_compare(&w->ids[i], &w->below) >= 0)
            w->ids[kept++] = w->ids[i];
    }
    w->n = w->is_last ? w->n : kept;
}

static bool row_matches(const struct execution_filter *f, const struct db_rows *rows, size_t r)
{
    id responder = db_get_id(rows, r, EXECUTION_MATCH_RESPONDER_ID);
    id parent = db_get_id(rows, r, EXECUTION_MATCH_PARENT_ID);
    int64_t state = db_int(rows, r, EXECUTION_MATCH_STATE);
    bool has_state = f->states_n == 0, has_responder = f->responders_n == 0;
    for (size_t i = 0; i < f->states_n; i++)
        has_state = has_state || f->states[i] == state;
    for (size_t i = 0; i < f->responders_n; i++)
        has_responder = has_responder || id_equal(&f->responders[i], &responder);
    return has_state && has_responder && (!id_is_set(&f->parent) || id_equal(&f->parent, &parent));
}

static enum err compare_window(struct db *db, void *ctx, const id *workspace,
                               const struct execution_filter *f, struct execution_window *w)
{
    struct db_value *each = talloc_array(ctx, struct db_value, w->n + 1), ws = db_id(workspace);
    struct db_rows *rows;
    for (size_t i = 0; i < w->n; i++)
        each[i] = db_id(&w->ids[i]);
    enum err e = db_run_each(db, ctx, SQL_EXECUTION_MATCH, &ws, 1, each, 1, w->n, &rows);
    if (e != OK)
        return e;
    w->n = 0;
    for (size_t r = 0; r < rows->count; r++) {
        if (row_matches(f, rows, r))
            w->ids[w->n++] = db_get_id(rows, r, EXECUTION_MATCH_ID);
    }
    return OK;
}

static int newest_first(const void *a, const void *b)
{
    return id_compare(b, a);
}

/* By errors: all rows that may match are few enough for one statement. */
static enum err failed_window(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                              struct execution_window *window_r)
{
    struct execution_filter page = *f;
    page.offset = 0;
    page.limit = EXECUTION_WINDOW;
    *window_r = (struct execution_window){.below = f->below};
    enum err e = failed_runs(db, ctx, workspace, &page, &window_r->ids, &window_r->n);
    window_r->is_last = window_r->n < EXECUTION_WINDOW;
    if (e == OK && window_r->n > 0)
        window_r->below = window_r->ids[window_r->n - 1];
    return e;
}

/* An execution that moves to another state between the readings of two ranges is found in both. */
static void drop_repeated(struct execution_window *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (n == 0 || !id_equal(&w->ids[n - 1], &w->ids[i]))
            w->ids[n++] = w->ids[i];
    }
    w->n = n;
}

enum err execution_list_window(struct db *db, void *ctx, const id *workspace,
                               const struct execution_filter *f, struct execution_window *window_r)
{
    struct window_plan p;
    if (f->error || f->has_error_hash)
        return failed_window(db, ctx, workspace, f, window_r);
    plan_window(f, &p);
    *window_r = (struct execution_window){
        .ids = talloc_array(ctx, id, EXECUTION_WINDOW),
        .below = f->below,
        .is_last = true,
    };
    enum err e = read_window(db, ctx, workspace, &p, window_r);
    if (e != OK)
        return e;
    cut_window(window_r);
    if (p.is_compared)
        e = compare_window(db, ctx, workspace, f, window_r);
    qsort(window_r->ids, window_r->n, sizeof *window_r->ids, newest_first);
    drop_repeated(window_r);
    return e;
}

/* --- at once --- */

/* One range of an index that begins at its newest row: its rows are read without asking for their ids first.
 */
static bool is_one_range(const struct execution_filter *f)
{
    return f->offset == 0 && f->responders_n <= 1 && f->states_n <= 1 && !f->tag && !id_is_set(&f->batch) &&
           !id_is_set(&f->parent) && !f->error && !f->has_error_hash;
}

static enum err page_rows(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                          struct db_rows **rows_r)
{
    struct db_value from = db_id(id_is_set(&f->above) ? &f->above : &lowest);
    struct db_value to = db_id(id_is_set(&f->below) ? &f->below : &highest);
    struct db_value ws = db_id(workspace), limit = db_number(f->limit);
    struct db_value state = db_number_or_null(f->states_n ? f->states[0] : 0, f->states_n > 0);
    if (f->responders_n) {
        struct db_value args[] = {ws, db_id(&f->responders[0]), from, to, state, state, limit};
        return db_run(db, ctx, SQL_EXECUTION_PAGE_BY_RESPONDER, args, 7, rows_r);
    }
    if (f->states_n) {
        struct db_value args[] = {ws, state, from, to, limit};
        return db_run(db, ctx, SQL_EXECUTION_PAGE_BY_STATE, args, 5, rows_r);
    }
    struct db_value args[] = {ws, from, to, limit};
    return db_run(db, ctx, SQL_EXECUTION_PAGE, args, 4, rows_r);
}

enum err execution_list(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                        struct execution **list_r, size_t *count_r)
{
    struct db_rows *rows;
    id *ids = NULL;
    size_t n = 0;
    if (is_one_range(f)) {
        enum err e = page_rows(db, ctx, workspace, f, &rows);
        return e == OK ? execution_read_page(db, ctx, workspace, rows, list_r, count_r) : e;
    }
    enum err e = execution_list_ids(db, ctx, workspace, f, &ids, &n);
    return e == OK ? execution_get_all(db, ctx, workspace, ids, n, list_r, count_r) : e;
}
