/* millrace batch-job list|show|cancel (docs/bulk-jobs.md) */
#include "cli/commands.h"
#include "cli/names.h"
#include "store/bulk_job.h"
#include "view/bulk_job.h"
#include "json/json_write.h"

enum { STATEMENT_S = 10, PAGE = 1000, ITEMS = 20 };

static json_object *job_json(struct cli *cli, const struct bulk_job *job)
{
    struct json_write *w = json_write_new(cli->ctx);
    size_t size;
    view_bulk_job(w, job);
    return json_tokener_parse(json_write_result(w, &size));
}

int cmd_batch_job_list(struct cli *cli, int argc, char **argv)
{
    id workspace, after = {{0}};
    struct bulk_job *list;
    size_t n = PAGE;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    json_object *rows = json_object_new_array();
    while (n == PAGE) {
        enum err e = bulk_job_list(cli->db, cli->ctx, &workspace, &after, PAGE, &list, &n);
        if (e != OK)
            return cli_fail_err(cli, e, "listing bulk jobs");
        for (size_t i = 0; i < n; i++)
            json_object_array_add(rows, job_json(cli, &list[i]));
        if (n > 0)
            after = list[n - 1].id;
    }
    return cli_print(cli, rows);
}

/* Reads the job that the arguments name; an exit code. */
static int find_job(struct cli *cli, int argc, char **argv, struct bulk_job *job_r)
{
    const char *workspace_text = NULL, *text;
    const struct cli_option options[] = {{"workspace", .text_r = &workspace_text}, {0}};
    id workspace, job;
    if (!cli_parse(cli, argc, argv, options, &text, 1) || !cli_id(cli, "JOB", text, &job))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, workspace_text, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = bulk_job_get(cli->db, cli->ctx, &workspace, &job, job_r);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "bulk job not found: %s", text);
    return e == OK ? CLI_DONE : cli_fail_err(cli, e, "reading the bulk job");
}

/* The first items that failed. */
static enum err add_failed(struct cli *cli, const struct bulk_job *job, json_object *shown)
{
    const struct bulk_item_page page = {
        .job = &job->id, .is_filtered = true, .outcome = BULK_FAILED, .limit = ITEMS};
    struct bulk_item *list;
    size_t n;
    enum err e = bulk_item_list(cli->db, cli->ctx, &page, &list, &n);
    json_object *rows = json_object_new_array();
    for (size_t i = 0; e == OK && i < n; i++) {
        struct json_write *w = json_write_new(cli->ctx);
        size_t size;
        view_bulk_item(w, &list[i]);
        json_object_array_add(rows, json_tokener_parse(json_write_result(w, &size)));
    }
    json_object_object_add(shown, "failed_items", rows);
    return e;
}

int cmd_batch_job_show(struct cli *cli, int argc, char **argv)
{
    struct bulk_job job;
    int code = find_job(cli, argc, argv, &job);
    if (code != CLI_DONE)
        return code;
    json_object *shown = job_json(cli, &job);
    enum err e = add_failed(cli, &job, shown);
    return e == OK ? cli_print(cli, shown) : cli_fail_err(cli, e, "reading the items");
}

int cmd_batch_job_cancel(struct cli *cli, int argc, char **argv)
{
    struct bulk_job job;
    int code = find_job(cli, argc, argv, &job);
    if (code != CLI_DONE)
        return code;
    enum err e = bulk_job_cancel(cli->db, cli->ctx, &job.workspace_id, &job.id);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "the bulk job has ended: %s", bulk_state_name(job.state));
    if (e == OK)
        e = bulk_job_get(cli->db, cli->ctx, &job.workspace_id, &job.id, &job);
    return e == OK ? cli_print(cli, job_json(cli, &job)) : cli_fail_err(cli, e, "cancelling the bulk job");
}
