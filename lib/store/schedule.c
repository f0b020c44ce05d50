#include "store/schedule.h"

#include <talloc.h>

enum { MS_PER_S = 1000 };

static struct span span_of_cell(const struct db_rows *rows, size_t r, size_t column)
{
    const struct db_cell *cell = db_cell(rows, r, column);
    return cell->is_null ? (struct span){0} : (struct span){cell->text, cell->size};
}

static struct schedule schedule_from_row(const struct db_rows *rows, size_t r)
{
    return (struct schedule){
        .id = db_get_id(rows, r, SCHEDULE_FIND_DUE_ID),
        .workspace_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_WORKSPACE_ID),
        .principal_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_PRINCIPAL_ID),
        .key_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_KEY_ID),
        .responder_id = db_get_id(rows, r, SCHEDULE_FIND_DUE_RESPONDER_ID),
        .kind = (enum responder_kind)db_int(rows, r, SCHEDULE_FIND_DUE_KIND),
        .timing = (enum timing_kind)db_int(rows, r, SCHEDULE_FIND_DUE_TIMING),
        .cron = db_str(rows, r, SCHEDULE_FIND_DUE_CRON),
        .timezone = db_str(rows, r, SCHEDULE_FIND_DUE_TIMEZONE),
        .every_s = db_int(rows, r, SCHEDULE_FIND_DUE_EVERY_S),
        .at_ms = db_int(rows, r, SCHEDULE_FIND_DUE_AT_MS),
        .anchor_ms = db_int(rows, r, SCHEDULE_FIND_DUE_ANCHOR_MS),
        .start_ms = db_int(rows, r, SCHEDULE_FIND_DUE_START_MS),
        .end_ms = db_int(rows, r, SCHEDULE_FIND_DUE_END_MS),
        .jitter_s = (int)db_int(rows, r, SCHEDULE_FIND_DUE_JITTER_S),
        .overlap = (enum overlap)db_int(rows, r, SCHEDULE_FIND_DUE_OVERLAP),
        .catch_up_s = (int)db_int(rows, r, SCHEDULE_FIND_DUE_CATCH_UP_S),
        .next_ms = db_int(rows, r, SCHEDULE_FIND_DUE_NEXT_MS),
        .due_ms = db_int(rows, r, SCHEDULE_FIND_DUE_DUE_MS),
        .waiting_ms = db_int(rows, r, SCHEDULE_FIND_DUE_WAITING_MS),
        .revision = db_int(rows, r, SCHEDULE_FIND_DUE_REVISION),
        .input = span_of_cell(rows, r, SCHEDULE_FIND_DUE_INPUT),
        .tags = span_of_cell(rows, r, SCHEDULE_FIND_DUE_TAGS),
        .metadata = span_of_cell(rows, r, SCHEDULE_FIND_DUE_METADATA),
        .now_ms = db_int(rows, r, SCHEDULE_FIND_DUE_NOW_MS),
    };
}

static enum err find_schedules(struct db *db, void *ctx, enum sql_id query, int64_t limit,
                               struct schedule **list_r, size_t *count_r)
{
    struct db_value arg = db_number(limit);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, query, &arg, 1, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, struct schedule, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*list_r)[r] = schedule_from_row(rows, r);
    return e;
}

enum err schedule_find_due(struct db *db, void *ctx, int64_t limit, struct schedule **list_r, size_t *count_r)
{
    return find_schedules(db, ctx, SQL_SCHEDULE_FIND_DUE, limit, list_r, count_r);
}

enum err schedule_find_waiting(struct db *db, void *ctx, int64_t limit, struct schedule **list_r,
                               size_t *count_r)
{
    return find_schedules(db, ctx, SQL_SCHEDULE_FIND_WAITING, limit, list_r, count_r);
}

enum err schedule_active_runs(struct db *db, void *ctx, const id *schedule, id **list_r, size_t *count_r)
{
    struct db_value arg = db_id(schedule);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_SCHEDULE_ACTIVE_RUNS, &arg, 1, &rows);
    *count_r = e == OK ? rows->count : 0;
    *list_r = talloc_array(ctx, id, *count_r + 1);
    for (size_t r = 0; r < *count_r; r++)
        (*list_r)[r] = db_get_id(rows, r, SCHEDULE_ACTIVE_RUNS_ID);
    return e;
}

bool schedule_timing(void *ctx, const struct schedule *s, struct timing *timing_r)
{
    *timing_r = (struct timing){
        .kind = s->timing,
        .every_ms = s->every_s * MS_PER_S,
        .anchor_ms = s->anchor_ms,
        .at_ms = s->at_ms,
        .start_ms = s->start_ms,
        .end_ms = s->end_ms,
    };
    if (s->timing != TIMING_CRON)
        return true;
    timing_r->zone = zone_open(ctx, s->timezone);
    return timing_r->zone && s->cron && !cron_parse(ctx, s->cron, &timing_r->cron);
}

struct occurrence schedule_due_occurrence(const struct schedule *s, const struct timing *timing)
{
    int64_t oldest_ms = s->now_ms - (int64_t)s->catch_up_s * MS_PER_S;
    bool is_late = s->due_ms < oldest_ms;
    /* an occurrence that is due by its jitter is not late either, so its nominal time may be older by that */
    int64_t after_ms = is_late ? oldest_ms - (int64_t)s->jitter_s * MS_PER_S - 1 : s->next_ms;
    if (after_ms < s->next_ms)
        after_ms = s->next_ms;
    int64_t next_ms = timing_next(timing, after_ms);
    bool is_last = next_ms == TIMING_NEVER;
    return (struct occurrence){
        .schedule_id = s->id,
        .nominal_ms = s->next_ms,
        .revision = s->revision,
        .origin = ORIGIN_SCHEDULE,
        .refused = is_late ? OCCURRENCE_LATE : OCCURRENCE_NO_REASON,
        .next_ms = is_last ? 0 : next_ms,
        .due_ms = is_last ? 0 : next_ms + timing_jitter_ms(&s->id, next_ms, s->jitter_s),
    };
}
