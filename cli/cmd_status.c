#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "mariadb/migrate.h"
#include "store/metrics.h"

enum { STATEMENT_S = 30 };
static const int64_t DAY_MS = 86400000;

static double seconds(int64_t ms)
{
    return ms > 0 ? (double)ms / 1000 : 0;
}

static void add_seconds(json_object *o, const char *name, int64_t ms, bool is_set)
{
    char text[32];
    snprintf(text, sizeof text, "%.1f", seconds(ms));
    json_object_object_add(o, name, is_set ? json_object_new_double_s(seconds(ms), text) : NULL);
}

/* --- executors --- */

static json_object *executor_json(const struct db_rows *rows, size_t i)
{
    json_object *o = json_object_new_object();
    const struct db_cell *beat = db_cell(rows, i, OPERATOR_EXECUTORS_BEAT_MS),
                         *lost = db_cell(rows, i, OPERATOR_EXECUTORS_LOST_MS);
    int64_t now = db_int(rows, i, OPERATOR_EXECUTORS_NOW_MS);
    cli_add_number(o, "id", db_int(rows, i, OPERATOR_EXECUTORS_ID));
    cli_add_text(o, "state", db_int(rows, i, OPERATOR_EXECUTORS_IS_ALIVE) ? "alive" : "lost");
    cli_add_bytes(o, "host", db_cell(rows, i, OPERATOR_EXECUTORS_HOST));
    cli_add_number(o, "pid", db_int(rows, i, OPERATOR_EXECUTORS_PID));
    cli_add_number(o, "runs", db_int(rows, i, OPERATOR_EXECUTORS_RUNS));
    add_seconds(o, "heartbeat_age_seconds", now - beat->number, !beat->is_null);
    cli_add_time(o, "heartbeat_at", beat->number, !beat->is_null);
    cli_add_time(o, "started_at", db_int(rows, i, OPERATOR_EXECUTORS_STARTED_MS), true);
    cli_add_time(o, "lost_at", lost->number, !lost->is_null);
    return o;
}

static enum err executors_json(struct cli *cli, json_object **list_r)
{
    struct db_rows *rows;
    enum err e = db_run(cli->db, cli->ctx, SQL_OPERATOR_EXECUTORS, NULL, 0, &rows);
    if (e != OK)
        return e;
    *list_r = json_object_new_array();
    for (size_t i = 0; i < rows->count; i++)
        json_object_array_add(*list_r, executor_json(rows, i));
    return OK;
}

int cmd_executor_list(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    json_object *list;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    enum err e = executors_json(cli, &list);
    return e == OK ? cli_print(cli, list) : cli_fail_err(cli, e, "listing executors");
}

/* --- status --- */

static enum err add_runs(struct cli *cli, json_object *o)
{
    struct store_metrics m;
    struct store_load load;
    enum err e = store_metrics_read(cli->db, &m);
    if (e == OK)
        e = store_metrics_load(cli->db, &load);
    if (e != OK)
        return e;
    cli_add_number(o, "queued", load.queued);
    cli_add_number(o, "running", load.running);
    add_seconds(o, "queue_age_seconds", m.oldest_queued_ms, true);
    return OK;
}

/* Adds the runs that were accepted within the last 24 hours, by their present state. */
static enum err add_day(struct cli *cli, json_object *o)
{
    int64_t counts[STATE_STOPPED + 1] = {0};
    id since = id_floor(clock_wall_ms() - DAY_MS);
    struct db_value value = db_id(&since);
    struct db_rows *rows;
    enum err e = db_run(cli->db, cli->ctx, SQL_METRICS_RECENT, &value, 1, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        int64_t state = db_int(rows, r, METRICS_RECENT_STATE);
        if (state >= 0 && state <= STATE_STOPPED)
            counts[state] = db_int(rows, r, METRICS_RECENT_N);
    }
    for (int s = STATE_SUCCEEDED; e == OK && s <= STATE_STOPPED; s++)
        cli_add_number(o, talloc_asprintf(cli->ctx, "%s_of_last_day", state_name((enum run_state)s)),
                       counts[s]);
    return e;
}

static void add_redis(struct cli *cli, json_object *o)
{
    struct redis_arg ping = redis_text("PING");
    bool answers = redis_call(cli->redis, cli->ctx, &ping, 1, NULL) == OK;
    cli_add_text(o, "redis", answers ? "ok" : "unreachable");
}

/* Compares the newest migration of the database with the newest one of this build. */
static enum err add_schema(struct cli *cli, json_object *o)
{
    struct db_rows *rows;
    const char *have = NULL, *want;
    enum err e = db_run(cli->db, cli->ctx, SQL_MIGRATION_LIST, NULL, 0, &rows);
    if (e != OK)
        return e;
    for (size_t i = 0; i < rows->count; i++) {
        if (!db_cell(rows, i, MIGRATION_LIST_APPLIED_MS)->is_null)
            have = db_str(rows, i, MIGRATION_LIST_NAME);
    }
    want = sql_migrations[sql_migration_count - 1].name;
    cli_add_text(o, "schema", have);
    cli_add_text(o, "schema_of_this_build", want);
    return OK;
}

/* What an operator must look at, as sentences. */
static json_object *status_problems(json_object *o, json_object *executors)
{
    json_object *list = json_object_new_array();
    size_t alive = 0;
    for (size_t i = 0; i < json_object_array_length(executors); i++)
        alive += strcmp(json_get_text(json_object_array_get_idx(executors, i), "state"), "alive") == 0;
    if (alive == 0)
        json_object_array_add(list, json_object_new_string("no executor is alive: queued runs wait"));
    if (strcmp(json_get_text(o, "redis"), "ok") != 0)
        json_object_array_add(
            list, json_object_new_string("Redis is unreachable: everything works, but more slowly"));
    const char *have = json_get_text(o, "schema"), *want = json_get_text(o, "schema_of_this_build");
    if (!have || strcmp(have, want) != 0)
        json_object_array_add(list,
                              json_object_new_string("the schema is not that of this build: run `millrace "
                                                     "migrate`, or a build of the schema's version"));
    return list;
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    json_object *executors;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    json_object *o = json_own(cli->ctx, json_object_new_object());
    enum err e = add_runs(cli, o);
    if (e == OK)
        e = add_day(cli, o);
    if (e == OK)
        e = add_schema(cli, o);
    if (e == OK)
        e = executors_json(cli, &executors);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the status");
    add_redis(cli, o);
    json_object *problems = status_problems(o, executors);
    bool is_ok = json_object_array_length(problems) == 0;
    json_object_object_add(o, "problems", problems);
    json_object_object_add(o, "executors", executors);
    (void)cli_print(cli, json_object_get(o));
    return is_ok ? CLI_DONE : CLI_FAILED;
}
