#include "store/live_log.h"

#include <string.h>
#include <talloc.h>

#include "run/states.h"
#include "json/json.h"

enum { PAGE = 100 /* the LIMIT of live_log_page.sql */ };

bool live_log_exists(const struct execution_log *log)
{
    return !log->is_purged && !log->has_log && (log->state == STATE_RUNNING || log->state == STATE_STOPPED);
}

static void append_piece(struct live_log *log, struct span piece)
{
    size_t skipped = log->skip < (int64_t)piece.size ? (size_t)log->skip : piece.size;
    size_t room = log->max - log->size, n = piece.size - skipped < room ? piece.size - skipped : room;
    log->skip -= (int64_t)skipped;
    if (n == 0)
        return;
    log->text = talloc_realloc(log->ctx, log->text, char, log->size + n + 1);
    memcpy(log->text + log->size, piece.at + skipped, n);
    log->size += n;
    log->text[log->size] = '\0';
}

bool live_log_append(struct live_log *log, const char *data, size_t size)
{
    void *scratch = talloc_new(NULL);
    json_object *event;
    const char *why;
    bool whole = false;
    if (json_parse_tolerant(scratch, data, size, JSON_DEPTH_MAX, &event, &why) == OK) {
        append_piece(log, json_span(json_get(event, "text")));
        whole = json_object_get_int64(json_get(event, "omitted_bytes")) == 0;
    }
    talloc_free(scratch);
    return whole && log->size < log->max;
}

static enum err find_start(struct db *db, void *ctx, const id *execution, int64_t *seq_r)
{
    struct db_value args[] = {db_id(execution), db_number(EVENT_STARTED), db_number(EVENT_REQUEUED)};
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_LIVE_LOG_START, args, 3, &rows);
    if (e == OK)
        *seq_r = db_int(rows, 0, LIVE_LOG_START_SEQ);
    return e;
}

/* *more_r: another page may follow. */
static enum err read_page(struct db *db, void *ctx, const id *execution, int64_t *seq, struct live_log *log,
                          bool *more_r)
{
    struct db_value args[] = {db_id(execution), db_number(*seq), db_number(EVENT_LOG)};
    struct db_rows *rows;
    *more_r = false;
    enum err e = db_run(db, ctx, SQL_LIVE_LOG_PAGE, args, 3, &rows);
    if (e != OK)
        return e;
    *more_r = rows->count == PAGE;
    for (size_t i = 0; i < rows->count; i++) {
        const char *data = db_str(rows, i, LIVE_LOG_PAGE_DATA);
        *seq = db_int(rows, i, LIVE_LOG_PAGE_SEQ);
        if (!data || !live_log_append(log, data, strlen(data))) {
            *more_r = false;
            break;
        }
    }
    talloc_free(rows);
    return OK;
}

enum err live_log_read(struct db *db, void *ctx, const id *execution, int64_t offset, size_t max,
                       char **text_r, size_t *size_r)
{
    struct live_log log = {.ctx = ctx, .skip = offset, .max = max};
    int64_t seq;
    bool more = true;
    enum err e = find_start(db, ctx, execution, &seq);
    while (e == OK && more)
        e = read_page(db, ctx, execution, &seq, &log, &more);
    *text_r = log.text;
    *size_r = e == OK ? log.size : 0;
    return e;
}
