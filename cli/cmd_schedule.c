/* millrace schedule list|show|pause|resume|trigger (docs/schedules.md) */
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "store/schedule.h"
#include "view/schedule.h"
#include "json/json_write.h"

enum { STATEMENT_S = 10, PAGE = 1000, UPCOMING = 5, OCCURRENCES = 20, WRITES_MAX = 5 };

static json_object *schedule_json(struct cli *cli, const struct schedule *s)
{
    struct json_write *w = json_write_new(cli->ctx);
    size_t size;
    view_schedule(w, s);
    return json_tokener_parse(json_write_result(w, &size));
}

int cmd_schedule_list(struct cli *cli, int argc, char **argv)
{
    id workspace, after = {{0}};
    struct schedule *list;
    size_t n = PAGE;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    json_object *rows = json_object_new_array();
    while (n == PAGE) {
        enum err e = schedule_list(cli->db, cli->ctx, &workspace, &after, PAGE, &list, &n);
        if (e != OK)
            return cli_fail_err(cli, e, "listing schedules");
        for (size_t i = 0; i < n; i++)
            json_object_array_add(rows, schedule_json(cli, &list[i]));
        if (n > 0)
            after = list[n - 1].id;
    }
    return cli_print(cli, rows);
}

/* Reads the schedule that the arguments name; an exit code. */
static int find_schedule(struct cli *cli, int argc, char **argv, struct schedule *s_r)
{
    const char *workspace_text = NULL, *text;
    const struct cli_option options[] = {{"workspace", .text_r = &workspace_text}, {0}};
    id workspace, schedule;
    if (!cli_parse(cli, argc, argv, options, &text, 1) || !cli_id(cli, "SCHEDULE", text, &schedule))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, workspace_text, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = schedule_get(cli->db, cli->ctx, &workspace, &schedule, s_r);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "schedule not found: %s", text);
    return e == OK ? CLI_DONE : cli_fail_err(cli, e, "reading the schedule");
}

static json_object *upcoming_json(struct cli *cli, const struct schedule *s)
{
    json_object *list = json_object_new_array();
    struct timing timing;
    char text[CLOCK_TEXT_SIZE];
    int64_t at = s->now_ms;
    if (s->paused == SCHEDULE_RUNS && schedule_timing(cli->ctx, s, &timing)) {
        for (int i = 0; i < UPCOMING && (at = timing_next(&timing, at)) != TIMING_NEVER; i++)
            json_object_array_add(list, json_object_new_string(clock_text_z(at, text)));
    }
    return list;
}

static json_object *occurrences_json(struct cli *cli, const struct occurrence_row *list, size_t n)
{
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        struct json_write *w = json_write_new(cli->ctx);
        size_t size;
        view_occurrence(w, &list[i]);
        json_object_array_add(rows, json_tokener_parse(json_write_result(w, &size)));
    }
    return rows;
}

int cmd_schedule_show(struct cli *cli, int argc, char **argv)
{
    struct schedule s;
    struct occurrence_row *list;
    size_t n;
    int code = find_schedule(cli, argc, argv, &s);
    if (code != CLI_DONE)
        return code;
    enum err e =
        occurrence_list(cli->db, cli->ctx, &s.workspace_id, &s.id, INT64_MAX, OCCURRENCES, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the occurrences");
    json_object *shown = schedule_json(cli, &s);
    json_object_object_add(shown, "upcoming", upcoming_json(cli, &s));
    json_object_object_add(shown, "occurrences", occurrences_json(cli, list, n));
    return cli_print(cli, shown);
}

/* Writes the change, again if the scheduler has decided an occurrence in between. */
static int write_paused(struct cli *cli, struct schedule *s, bool paused)
{
    enum err e = ERR_CONFLICT;
    for (int i = 0; e == ERR_CONFLICT && i < WRITES_MAX; i++) {
        e = i == 0 ? OK : schedule_get(cli->db, cli->ctx, &s->workspace_id, &s->id, s);
        if (e == OK && !schedule_set_paused(cli->ctx, s, paused))
            return cli_fail(cli, "the time zone database has no zone %s", s->timezone);
        s->updated_ms = s->now_ms;
        if (e == OK)
            e = schedule_write(cli->db, s);
    }
    return e == OK ? cli_print(cli, schedule_json(cli, s)) : cli_fail_err(cli, e, "changing the schedule");
}

int cmd_schedule_pause(struct cli *cli, int argc, char **argv)
{
    struct schedule s;
    int code = find_schedule(cli, argc, argv, &s);
    return code == CLI_DONE ? write_paused(cli, &s, true) : code;
}

int cmd_schedule_resume(struct cli *cli, int argc, char **argv)
{
    struct schedule s;
    int code = find_schedule(cli, argc, argv, &s);
    if (code != CLI_DONE)
        return code;
    if (s.paused == SCHEDULE_PAUSED_KEY_REVOKED)
        return cli_fail(
            cli, "the key of the schedule is revoked or has expired: a caller resumes it with his own, by "
                 "POST /schedules/{id}/resume");
    return write_paused(cli, &s, false);
}

/* A backfill of one time: the scheduler starts it, so that all the rules of an occurrence hold. */
int cmd_schedule_trigger(struct cli *cli, int argc, char **argv)
{
    struct schedule s;
    size_t added;
    int code = find_schedule(cli, argc, argv, &s);
    if (code != CLI_DONE)
        return code;
    if (s.paused != SCHEDULE_RUNS)
        return cli_fail(cli, "the schedule is paused");
    const struct schedule_backfill b = {&s.workspace_id, &s.id, &s.now_ms, 1};
    enum err e = schedule_backfill(cli->db, &b, &added, NULL);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "a backfill of the schedule has not ended yet");
    if (e != OK)
        return cli_fail_err(cli, e, "triggering the schedule");
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", s.id.text);
    cli_add_time(o, "scheduled_for", s.now_ms, true);
    return cli_print(cli, o);
}
