#include <talloc.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "deed/deed.h"
#include "webhook/delivery.h"
#include "webhook/endpoint.h"
#include "webhook/event.h"

enum { STATEMENT_S = 10 };

static void add_flag(json_object *o, const char *name, bool flag)
{
    json_object_object_add(o, name, json_object_new_boolean(flag));
}

static json_object *webhook_row(const struct webhook *w)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", w->id.text);
    cli_add_text(o, "url", w->url);
    add_flag(o, "enabled", w->enabled);
    cli_add_text(o, "disabled_reason", w->enabled ? NULL : webhook_disabled_name(w->disabled_reason));
    cli_add_time(o, "failing_since", w->failing_since_ms, w->failing_since_ms > 0);
    cli_add_time(o, "created_at", w->created_ms, true);
    return o;
}

static json_object *delivery_row(void *ctx, const struct webhook_delivery *d)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", d->id.text);
    cli_add_text(o, "message_id", webhook_message_id(ctx, &d->outbox_id));
    cli_add_text(o, "event", webhook_event_name(d->event));
    cli_add_text(o, "execution_id", id_is_set(&d->execution_id) ? d->execution_id.text : NULL);
    cli_add_text(o, "state", webhook_state_name(d->state));
    cli_add_number(o, "tries", d->tries);
    cli_add_number(o, "status", d->status);
    cli_add_text(o, "error", d->error);
    cli_add_time(o, "tried_at", d->tried_ms, d->tried_ms > 0);
    cli_add_time(o, "next_try_at", d->due_ms, d->state == WEBHOOK_PENDING);
    return o;
}

static int fail(struct cli *cli, enum err e, const id *webhook, const char *what)
{
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "webhook not found in this workspace: %s", webhook->text);
    if (e == ERR_DENIED)
        return cli_fail(cli, "the webhook is disabled: enable it first");
    return cli_fail_err(cli, e, what);
}

/* Parses --workspace W ID and the other options, and opens the database. CLI_DONE, or the command's code. */
static int open_webhook(struct cli *cli, int argc, char **argv, const struct cli_option *options,
                        const char **workspace_text, id *workspace_r, id *webhook_r)
{
    const char *text;
    if (!cli_parse(cli, argc, argv, options, &text, 1))
        return CLI_USAGE;
    if (!cli_id(cli, "ID", text, webhook_r))
        return CLI_USAGE;
    return cli_open_workspace(cli, STATEMENT_S, *workspace_text, workspace_r);
}

int cmd_webhook_list(struct cli *cli, int argc, char **argv)
{
    id workspace, after = {{0}};
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    json_object *rows = json_object_new_array();
    for (size_t n = WEBHOOKS_LIST_MAX; n == WEBHOOKS_LIST_MAX;) {
        struct webhook *list;
        enum err e = webhook_list(cli->db, cli->ctx, &workspace, &after, WEBHOOKS_LIST_MAX, &list, &n);
        if (e != OK) {
            json_object_put(rows);
            return cli_fail_err(cli, e, "listing webhooks");
        }
        for (size_t i = 0; i < n; i++)
            json_object_array_add(rows, webhook_row(&list[i]));
        if (n > 0)
            after = list[n - 1].id;
    }
    return cli_print(cli, rows);
}

int cmd_webhook_show(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {0}};
    id workspace, webhook;
    struct webhook w;
    int code = open_webhook(cli, argc, argv, options, &text, &workspace, &webhook);
    if (code != CLI_DONE)
        return code;
    enum err e = webhook_get(cli->db, cli->ctx, NULL, &workspace, &webhook, &w);
    return e == OK ? cli_print(cli, webhook_row(&w)) : fail(cli, e, &webhook, "reading the webhook");
}

int cmd_webhook_deliveries(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *limit_text = "20";
    const struct cli_option options[] = {
        {"workspace", .text_r = &text}, {"limit", .text_r = &limit_text}, {0}};
    const id newest = {{0}};
    id workspace, webhook;
    struct webhook w;
    struct webhook_delivery *list;
    size_t n;
    int64_t limit;
    int code = open_webhook(cli, argc, argv, options, &text, &workspace, &webhook);
    if (code != CLI_DONE)
        return code;
    if (!cli_number(cli, "--limit", limit_text, 1, 10000, &limit))
        return CLI_USAGE;
    enum err e = webhook_get(cli->db, cli->ctx, NULL, &workspace, &webhook, &w);
    if (e == OK)
        e = webhook_delivery_list(cli->db, cli->ctx, &workspace, &webhook, &newest, limit, &list, &n);
    if (e != OK)
        return fail(cli, e, &webhook, "listing deliveries");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, delivery_row(cli->ctx, &list[i]));
    return cli_print(cli, rows);
}

static enum err redeliver_all(struct cli *cli, struct webhook_redelivery *r, uint64_t *total_r)
{
    enum err e;
    *total_r = 0;
    do {
        deed_next();
        e = webhook_redeliver(cli->db, r, NULL);
        *total_r += e == OK ? r->n : 0;
    } while (e == OK && r->has_more);
    return e;
}

int cmd_webhook_redeliver(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *delivery_text = NULL, *since = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"delivery", .text_r = &delivery_text},
                                         {"since", .text_r = &since},
                                         {0}};
    id workspace, webhook, delivery;
    uint64_t n;
    int code = open_webhook(cli, argc, argv, options, &text, &workspace, &webhook);
    if (code != CLI_DONE)
        return code;
    int64_t since_ms = since ? clock_parse(since) : 0;
    if (!delivery_text == !since || since_ms < 0)
        return cli_usage(cli, "either --delivery D or --since TIME (RFC 3339) is required");
    if (delivery_text && !cli_id(cli, "--delivery", delivery_text, &delivery))
        return CLI_USAGE;
    struct webhook_redelivery r = {.workspace = &workspace,
                                   .webhook = &webhook,
                                   .delivery = delivery_text ? &delivery : NULL,
                                   .since_ms = since_ms,
                                   .pending_max = cli->config->webhooks.pending_max};
    enum err e = redeliver_all(cli, &r, &n);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "the delivery does not exist, or its execution was purged");
    if (e == ERR_LIMIT)
        return cli_fail(cli,
                        "%llu deliveries are sent again; more may not be pending now (webhooks.pending_max)",
                        (unsigned long long)n);
    if (e != OK)
        return fail(cli, e, &webhook, "sending deliveries again");
    json_object *o = json_object_new_object();
    cli_add_number(o, "redelivered", (int64_t)n);
    return cli_print(cli, o);
}

static int set_enabled(struct cli *cli, int argc, char **argv, bool enabled)
{
    const char *text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {0}};
    const struct webhook_change change = {.has_enabled = true, .enabled = enabled};
    id workspace, webhook;
    struct webhook w;
    int code = open_webhook(cli, argc, argv, options, &text, &workspace, &webhook);
    if (code != CLI_DONE)
        return code;
    enum err e = webhook_change(cli->db, cli->ctx, NULL, &workspace, &webhook, &change, &w);
    return e == OK ? cli_print(cli, webhook_row(&w)) : fail(cli, e, &webhook, "changing the webhook");
}

int cmd_webhook_enable(struct cli *cli, int argc, char **argv)
{
    return set_enabled(cli, argc, argv, true);
}

int cmd_webhook_disable(struct cli *cli, int argc, char **argv)
{
    return set_enabled(cli, argc, argv, false);
}
