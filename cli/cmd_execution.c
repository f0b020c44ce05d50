#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/execution_find.h"
#include "cli/names.h"
#include "command/table.h"
#include "redis/keys.h"
#include "redis/subscriber.h"
#include "run/event_json.h"
#include "run/stop.h"
#include "store/error_group.h"
#include "store/event.h"
#include "store/execution.h"
#include "store/responder.h"
#include "store/workflow.h"
#include "view/execution.h"
#include "workflow/program_compile.h"
#include "json/json_write.h"

enum {
    STATEMENT_S = 30,
    LIST_DEFAULT = 20,
    LIST_MAX = 10000,
    ERRORS_MAX = 1000,
    /* interval at which MariaDB is polled for events that Redis did not deliver */
    POLL_MS = 1000,
    /* a document of the maximum depth inside the object that shows it */
    VIEW_DEPTH_MAX = 2 * JSON_DEPTH_MAX,
};

/* --- list --- */

static json_object *execution_row_json(const struct db_rows *rows, size_t i)
{
    json_object *o = json_object_new_object();
    const struct db_cell *started = db_cell(rows, i, OPERATOR_EXECUTION_LIST_STARTED_MS),
                         *ended = db_cell(rows, i, OPERATOR_EXECUTION_LIST_ENDED_MS);
    id execution = db_get_id(rows, i, OPERATOR_EXECUTION_LIST_ID);
    enum failure_reason reason = (enum failure_reason)db_int(rows, i, OPERATOR_EXECUTION_LIST_FAILURE_REASON);
    /* in the order of their importance: a narrow terminal shows the first ones */
    cli_add_text(o, "id", execution.text);
    cli_add_text(o, "state", state_name((enum run_state)db_int(rows, i, OPERATOR_EXECUTION_LIST_STATE)));
    cli_add_bytes(o, "name", db_cell(rows, i, OPERATOR_EXECUTION_LIST_NAME));
    cli_add_bytes(o, "error", db_cell(rows, i, OPERATOR_EXECUTION_LIST_ERROR));
    cli_add_text(o, "failure_reason", reason_name(reason));
    cli_add_credits(o, "credits",
                    db_int(rows, i, OPERATOR_EXECUTION_LIST_COST) -
                        db_int(rows, i, OPERATOR_EXECUTION_LIST_REFUNDED));
    cli_add_time(o, "created_at", id_ms(&execution), true);
    cli_add_time(o, "started_at", started->number, !started->is_null);
    cli_add_time(o, "ended_at", ended->number, !ended->is_null);
    cli_add_number(o, "version", db_int(rows, i, OPERATOR_EXECUTION_LIST_VERSION));
    cli_add_number(o, "attempt", db_int(rows, i, OPERATOR_EXECUTION_LIST_ATTEMPT));
    cli_add_number(o, "executor_id", db_int(rows, i, OPERATOR_EXECUTION_LIST_EXECUTOR_ID));
    cli_add_bytes(o, "workspace", db_cell(rows, i, OPERATOR_EXECUTION_LIST_WORKSPACE));
    cli_add_text(o, "workspace_id", db_str(rows, i, OPERATOR_EXECUTION_LIST_WORKSPACE_ID));
    cli_add_text(o, "responder_id", db_str(rows, i, OPERATOR_EXECUTION_LIST_RESPONDER_ID));
    cli_add_bytes(o, "parent_id", db_cell(rows, i, OPERATOR_EXECUTION_LIST_PARENT_ID));
    return o;
}

/* Parses an id option into the two parameters of its SQL filter. */
static bool parse_id_filter(struct cli *cli, const char *option, const char *text, struct db_value pair[2])
{
    id *value = talloc_zero(cli->ctx, id);
    if (text && !cli_id(cli, option, text, value))
        return false;
    pair[0] = pair[1] = db_id(value);
    return true;
}

int cmd_execution_list(struct cli *cli, int argc, char **argv)
{
    const char *workspace = NULL, *workflow = NULL, *state_text = NULL, *parent = NULL, *before = NULL,
               *limit_text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &workspace},
                                         {"workflow", .text_r = &workflow},
                                         {"state", .text_r = &state_text},
                                         {"parent", .text_r = &parent},
                                         {"before", .text_r = &before},
                                         {"limit", .text_r = &limit_text},
                                         {0}};
    struct db_value args[11];
    enum run_state state = 0;
    int64_t limit = LIST_DEFAULT;
    id workspace_id, responder_id = {{0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        !parse_id_filter(cli, "--parent", parent, &args[6]) ||
        !parse_id_filter(cli, "--before", before, &args[8]) ||
        (limit_text && !cli_number(cli, "--limit", limit_text, 1, LIST_MAX, &limit)))
        return CLI_USAGE;
    if (state_text && state_from_name(state_text, &state) == 0)
        return cli_usage(cli, "--state must be queued, running, succeeded, failed or stopped");
    args[4] = args[5] = db_number_or_null(state, state_text != NULL);
    args[10] = db_number(limit);
    if (!cli_open(cli, STATEMENT_S) || cli_workspace_filter(cli, workspace, &workspace_id) != CLI_DONE ||
        (workflow && cli_responder(cli, &workspace_id, workflow, &responder_id) != CLI_DONE))
        return CLI_FAILED;
    args[0] = args[1] = db_id(&workspace_id);
    args[2] = args[3] = db_id(&responder_id);
    struct db_rows *rows;
    enum err e = db_run(cli->db, cli->ctx, SQL_OPERATOR_EXECUTION_LIST, args, 11, &rows);
    if (e != OK)
        return cli_fail_err(cli, e, "listing executions");
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < rows->count; i++)
        json_object_array_add(list, execution_row_json(rows, i));
    return cli_print(cli, list);
}

/* --- errors --- */

static json_object *error_group_json(struct cli *cli, const struct error_group *g,
                                     const struct execution *newest)
{
    json_object *o = json_object_new_object();
    cli_add_number(o, "count", g->count);
    cli_add_text(o, "reason", reason_name(g->reason));
    cli_add_text(o, "step", g->step);
    cli_add_text(o, "error", newest ? newest->error : NULL);
    cli_add_time(o, "first_at", g->first_ms, true);
    cli_add_time(o, "last_at", g->last_ms, true);
    cli_add_text(o, "execution_id", g->newest.text);
    cli_add_number(o, "responder_count", g->responders_n);
    cli_add_text(o, "hash", talloc_asprintf(cli->ctx, "%016" PRIx64, (uint64_t)g->hash));
    return o;
}

int cmd_execution_errors(struct cli *cli, int argc, char **argv)
{
    const char *workspace = NULL, *limit_text = NULL;
    const struct cli_option options[] = {
        {"workspace", .text_r = &workspace}, {"limit", .text_r = &limit_text}, {0}};
    int64_t limit = LIST_DEFAULT, considered;
    struct error_group *groups;
    struct execution *newest;
    size_t n, newest_n;
    id workspace_id;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (limit_text && !cli_number(cli, "--limit", limit_text, 1, ERRORS_MAX, &limit)))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, workspace, &workspace_id);
    if (code != CLI_DONE)
        return code;
    enum err e = error_groups_read(cli->db, cli->ctx, &workspace_id, limit, &groups, &n, &considered);
    id *ids = talloc_array(cli->ctx, id, ERRORS_MAX);
    for (size_t i = 0; e == OK && i < n; i++)
        ids[i] = groups[i].newest;
    if (e == OK)
        e = execution_get_all(cli->db, cli->ctx, &workspace_id, ids, n, &newest, &newest_n);
    if (e != OK)
        return cli_fail_err(cli, e, "grouping errors");
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(
            list, error_group_json(cli, &groups[i], execution_find(newest, newest_n, &groups[i].newest)));
    return cli_print(cli, list);
}

/* --- one execution --- */

/* Returns the program that the steps are shown with; NULL if it is no longer stored, or the run is not a
 * workflow run. */
static struct program *load_program(struct cli *cli, const struct execution *exec)
{
    const char *text, *why;
    size_t size;
    json_object *document;
    struct program *program = NULL;
    struct json_problems *problems = json_problems_new(cli->ctx);
    if (exec->kind != KIND_WORKFLOW ||
        workflow_get_program(cli->db, cli->ctx, &exec->workspace_id, &exec->responder_id, exec->version,
                             &text, &size) != OK ||
        json_parse(cli->ctx, text, size, JSON_DEPTH_MAX, &document, &why) != OK ||
        program_compile(cli->ctx, document, NULL, &program, problems) != OK)
        return NULL;
    return program;
}

/* Builds the execution as the API shows it, parsed again so that it can be printed as JSON or as text. */
static enum err execution_json(struct cli *cli, const struct run_progress *run, json_object **o_r)
{
    struct execution exec;
    struct execution_step *steps;
    struct responder_name *name;
    size_t names_n;
    struct view_steps v = {0};
    enum err e = execution_get(cli->db, cli->ctx, &run->workspace_id, &run->execution_id, &exec);
    if (e == OK)
        e = execution_steps(cli->db, cli->ctx, &run->execution_id, &steps, &v.count);
    if (e == OK)
        e = view_read_results(cli->db, cli->ctx, &exec, &v);
    if (e == OK)
        e = responder_names(cli->db, cli->ctx, exec.kind, &exec.responder_id, 1, &name, &names_n);
    if (e != OK)
        return e;
    exec.responder_name = names_n > 0 ? name->name : NULL;
    v.list = steps;
    v.program = load_program(cli, &exec);
    struct json_write *w = json_write_new(cli->ctx);
    size_t size;
    const char *why;
    view_execution(w, &exec, &v);
    const char *text = json_write_result(w, &size);
    return json_parse_tolerant(cli->ctx, text, size, VIEW_DEPTH_MAX, o_r, &why);
}

static enum err add_operator_fields(struct cli *cli, const struct run_progress *run, json_object *o)
{
    struct db_value arg = db_id(&run->execution_id);
    struct db_rows *rows;
    enum err e = db_run(cli->db, cli->ctx, SQL_OPERATOR_EXECUTION_GET, &arg, 1, &rows);
    if (e != OK || rows->count == 0)
        return e == OK ? ERR_NOT_FOUND : e;
    const struct db_cell *deadline = db_cell(rows, 0, OPERATOR_EXECUTION_GET_DEADLINE_MS);
    json_object *p = json_object_new_object();
    cli_add_text(p, "root_id", db_str(rows, 0, OPERATOR_EXECUTION_GET_ROOT_ID));
    cli_add_number(p, "depth", db_int(rows, 0, OPERATOR_EXECUTION_GET_DEPTH));
    cli_add_text(p, "principal_id", db_str(rows, 0, OPERATOR_EXECUTION_GET_PRINCIPAL_ID));
    cli_add_bytes(p, "key_id", db_cell(rows, 0, OPERATOR_EXECUTION_GET_KEY_ID));
    cli_add_number(p, "attempt", db_int(rows, 0, OPERATOR_EXECUTION_GET_ATTEMPT));
    cli_add_number(p, "losses", db_int(rows, 0, OPERATOR_EXECUTION_GET_LOSSES));
    cli_add_number(p, "executor_id", db_int(rows, 0, OPERATOR_EXECUTION_GET_EXECUTOR_ID));
    cli_add_bytes(p, "executor_host", db_cell(rows, 0, OPERATOR_EXECUTION_GET_HOST));
    cli_add_number(p, "executor_pid", db_int(rows, 0, OPERATOR_EXECUTION_GET_PID));
    json_object_object_add(p, "effects",
                           json_object_new_boolean(db_int(rows, 0, OPERATOR_EXECUTION_GET_EFFECTS) != 0));
    cli_add_time(p, "deadline_at", deadline->number, !deadline->is_null);
    json_object_object_add(o, "operator", p);
    return OK;
}

static json_object *event_json(struct cli *cli, const struct event_row *v)
{
    json_object *o = json_object_new_object(), *data = NULL;
    const char *why;
    cli_add_number(o, "seq", v->seq);
    cli_add_time(o, "at", v->at_ms, true);
    cli_add_text(o, "type", event_name(v->type));
    if (v->data && json_parse_tolerant(cli->ctx, v->data, strlen(v->data), VIEW_DEPTH_MAX, &data, &why) == OK)
        json_object_get(data);
    json_object_object_add(o, "data", data ? data : json_object_new_object());
    return o;
}

static enum err add_events(struct cli *cli, const struct run_progress *run, json_object *o)
{
    json_object *list = json_object_new_array();
    struct event_page page;
    int after = 0;
    enum err e;
    json_object_object_add(o, "events", list);
    do {
        e = events_read(cli->db, cli->ctx, &run->workspace_id, &run->execution_id, after, &page);
        for (size_t i = 0; e == OK && i < page.count; i++)
            json_object_array_add(list, event_json(cli, &page.rows[i]));
        after = e == OK && page.count > 0 ? page.rows[page.count - 1].seq : after;
    } while (e == OK && page.count > 0 && after < page.last_seq);
    return e;
}

int cmd_execution_show(struct cli *cli, int argc, char **argv)
{
    const char *text;
    const struct cli_option options[] = {{0}};
    struct run_progress run;
    json_object *o;
    int code;
    if (!cli_parse(cli, argc, argv, options, &text, 1))
        return CLI_USAGE;
    if (!cli_find_execution(cli, text, &run, &code))
        return code;
    enum err e = execution_json(cli, &run, &o);
    if (e == OK)
        e = add_operator_fields(cli, &run, o);
    if (e == OK)
        e = add_events(cli, &run, o);
    return e == OK ? cli_print(cli, json_object_get(o)) : cli_fail_err(cli, e, "reading the execution");
}

int cmd_execution_stop(struct cli *cli, int argc, char **argv)
{
    const char *text;
    const struct cli_option options[] = {{0}};
    struct run_progress run;
    int code;
    if (!cli_parse(cli, argc, argv, options, &text, 1))
        return CLI_USAGE;
    if (!cli_find_execution(cli, text, &run, &code))
        return code;
    const struct stop_request request = {.workspace_id = run.workspace_id,
                                         .execution_id = run.execution_id,
                                         .error = "Stopped by an operator."};
    struct idempotency_match replay;
    enum stop_verdict verdict = stop_run(cli->db, cli->redis, cli->ctx, &request, &replay);
    switch (verdict) {
    case STOP_DONE:
        break;
    case STOP_TERMINAL:
        return cli_fail(cli, "the execution has already ended");
    case STOP_NOT_FOUND:
        return cli_fail(cli, "execution not found: %s", run.execution_id.text);
    default:
        return cli_fail_err(cli, stop_err(verdict), "stopping");
    }
    redis_flush(cli->redis);
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", run.execution_id.text);
    cli_add_text(o, "state", "stopped");
    return cli_print_line(cli, o, "stopped");
}

/* --- tail --- */

static void print_event(struct cli *cli, void *scratch, const id *execution, const struct event_row *v)
{
    char at[CLOCK_TEXT_SIZE];
    if (cli->json)
        puts(event_json_make(scratch, execution, v->seq, v->type, v->at_ms, v->data));
    else
        printf("%s  %4d  %-24s %s\n", clock_text_z(v->at_ms, at), v->seq, event_name(v->type),
               v->data && strcmp(v->data, "{}") != 0 ? printable_text(scratch, v->data, strlen(v->data))
                                                     : "");
}

/* Waits for the events of one run. Has its own event loop. */
struct event_wait {
    struct event_base *base;
    /* ends a wait after POLL_MS */
    struct event *timeout;
    struct redis_subscriber *redis;
    struct redis_arg channel;
};

static void on_wait_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct event_wait *w = arg;
    event_base_loopbreak(w->base);
}

static void on_tail_subscribed(void *arg, struct redis_arg channel)
{
    struct event_wait *w = arg;
    event_base_loopbreak(w->base);
}

static void on_tail_message(void *arg, struct redis_arg channel, struct redis_arg message)
{
    struct event_wait *w = arg;
    event_base_loopbreak(w->base);
}

static int event_wait_destroy(struct event_wait *w)
{
    talloc_free(w->redis);
    event_free(w->timeout);
    event_base_free(w->base);
    return 0;
}

static struct event_wait *event_wait_new(struct cli *cli, const id *execution)
{
    static const struct redis_subscriber_callbacks callbacks = {.on_subscribed = on_tail_subscribed,
                                                                .on_message = on_tail_message};
    struct event_wait *w = talloc_zero(cli->ctx, struct event_wait);
    w->base = event_base_new();
    w->timeout = event_new(w->base, -1, 0, on_wait_timeout, w);
    w->redis = redis_subscriber_new(w, w->base, cli->config->redis.socket, &callbacks, w);
    w->channel = redis_channel_events(w, execution);
    talloc_set_destructor(w, event_wait_destroy);
    return w;
}

/* Waits until Redis reports an event, at most POLL_MS. The first call only subscribes: events published
 * before the subscription must be read first. */
static void wait_for_event(struct event_wait *w)
{
    static const struct timeval poll_time = {.tv_sec = POLL_MS / 1000, .tv_usec = POLL_MS % 1000 * 1000};
    if (!redis_subscriber_is_connected(w->redis) && redis_subscriber_connect(w->redis) == OK)
        redis_subscriber_add(w->redis, w->channel);
    event_add(w->timeout, &poll_time);
    event_base_dispatch(w->base);
    event_del(w->timeout);
}

int cmd_execution_tail(struct cli *cli, int argc, char **argv)
{
    const char *text, *after_text = NULL;
    const struct cli_option options[] = {{"after", .text_r = &after_text}, {0}};
    struct run_progress run;
    struct event_page page = {0};
    int64_t after = 0;
    int code;
    if (!cli_parse(cli, argc, argv, options, &text, 1) ||
        (after_text && !cli_number(cli, "--after", after_text, 0, INT32_MAX, &after)))
        return CLI_USAGE;
    if (!cli_find_execution(cli, text, &run, &code))
        return code;
    struct event_wait *wait = event_wait_new(cli, &run.execution_id);
    for (;;) {
        void *scratch = talloc_new(cli->ctx);
        enum err e = events_read(cli->db, scratch, &run.workspace_id, &run.execution_id, (int)after, &page);
        if (e != OK && !err_is_transient(e)) /* wait until MariaDB is reachable again */
            return cli_fail_err(cli, e, "reading events");
        for (size_t i = 0; e == OK && i < page.count; i++)
            print_event(cli, scratch, &run.execution_id, &page.rows[i]);
        fflush(stdout);
        if (e == OK && page.count > 0)
            after = page.rows[page.count - 1].seq;
        if (e == OK && state_is_terminal(page.state) && after >= page.last_seq)
            return CLI_DONE;
        if (e != OK || page.count == 0)
            wait_for_event(wait);
        talloc_free(scratch);
    }
}
