#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "redis/share_question.h"
#include "schedule/zone.h"
#include "store/workspace.h"

enum {
    STATEMENT_S = 10,
    NAME_MAX_BYTES = 200,
    RATE_MAX = 100000000,
    CONCURRENT_MAX = 1000000,
    DAYS_MAX = 36500
};
static const int64_t QUOTA_LIMIT_MAX = 1099511627776;

struct limit_texts {
    const char *rate, *concurrent, *price, *payload_days, *rows_days, *quotas, *timezone;
};

static bool parse_workspace_limit(struct cli *cli, const char *option, const char *text, int64_t max,
                                  struct workspace_limit *l)
{
    l->is_given = text != NULL;
    l->is_set = text && strcmp(text, "default") != 0;
    return !l->is_set || cli_number(cli, option, text, 1, max, &l->value);
}

static bool parse_quota_limit(struct cli *cli, enum quota quota, const char *text, int64_t *limit_r)
{
    int64_t most = QUOTA_LIMIT_MAX;
    if (quota_is_minimum(quota)) {
        if (!cli_configure(cli))
            return false;
        most = quota_pool_size(cli->config, quota); /* no more can be promised than there is */
    }
    return cli_number(cli, "--quotas", text, quota_is_share(quota) ? 1 : 0, most, limit_r);
}

/* Parses one NAME=N or NAME=default. False after an error message. */
static bool parse_quota(struct cli *cli, char *text, struct workspace_limits *l)
{
    char *value = strchr(text, '=');
    if (value)
        *value++ = '\0';
    for (int q = 0; q < QUOTAS && value; q++) {
        struct workspace_limit *limit = &l->quotas[q];
        if (strcmp(quota_name((enum quota)q), text) != 0)
            continue;
        limit->is_given = true;
        limit->is_set = strcmp(value, "default") != 0;
        return !limit->is_set || parse_quota_limit(cli, (enum quota)q, value, &limit->value);
    }
    cli_usage(cli, "--quotas: unknown quota or no value: %s", text);
    return false;
}

/* Parses NAME=N,NAME=default,… False after an error message. */
static bool parse_quotas(struct cli *cli, const char *text, struct workspace_limits *l)
{
    char *rest = text ? talloc_strdup(cli->ctx, text) : NULL;
    for (char *one; (one = strsep(&rest, ",")) != NULL;) {
        if (!parse_quota(cli, one, l))
            return false;
    }
    return true;
}

static bool parse_timezone(struct cli *cli, const char *text, struct workspace_limits *l)
{
    l->has_timezone = text != NULL;
    l->timezone = text && strcmp(text, "default") != 0 ? text : NULL;
    if (l->timezone && !zone_open(cli->ctx, l->timezone))
        return cli_usage(cli, "--timezone: the time zone database has no zone %s", l->timezone), false;
    return true;
}

static bool parse_workspace_limits(struct cli *cli, const struct limit_texts *t, struct workspace_limits *l)
{
    *l = (struct workspace_limits){0};
    if (!parse_workspace_limit(cli, "--rate-limit-per-minute", t->rate, RATE_MAX,
                               &l->rate_limit_per_minute) ||
        !parse_workspace_limit(cli, "--max-concurrent", t->concurrent, CONCURRENT_MAX, &l->max_concurrent) ||
        !parse_workspace_limit(cli, "--keep-payload-days", t->payload_days, DAYS_MAX,
                               &l->keep_payload_days) ||
        !parse_workspace_limit(cli, "--keep-rows-days", t->rows_days, DAYS_MAX, &l->keep_rows_days) ||
        !parse_timezone(cli, t->timezone, l) || !parse_quotas(cli, t->quotas, l))
        return false;
    l->price.is_given = t->price != NULL;
    l->price.is_set = t->price && strcmp(t->price, "default") != 0;
    return !l->price.is_set || cli_price(cli, "--price-credits", t->price, &l->price.value);
}

static void add_limit(json_object *o, const char *name, const struct workspace_limit *l)
{
    json_object_object_add(o, name, l->is_set ? json_object_new_int64(l->value) : NULL);
}

/* NULL: it can be used. */
static const char *const frozen_names[] = {[FROZEN_NOT] = NULL,
                                           [FROZEN_EXPORTED] = "exported",
                                           [FROZEN_IMPORTING] = "importing",
                                           [FROZEN_DISCARDED] = "discarded"};

static json_object *workspace_json(const struct workspace *w)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", w->id.text);
    cli_add_text(o, "name", w->name);
    cli_add_text(o, "tenant_id", w->tenant_id.text);
    cli_add_credits(o, "balance", w->balance);
    add_limit(o, "rate_limit_per_minute", &w->limits.rate_limit_per_minute);
    add_limit(o, "max_concurrent", &w->limits.max_concurrent);
    json_object_object_add(o, "active",
                           w->limits.max_concurrent.is_set ? json_object_new_int64(w->active) : NULL);
    json_object_object_add(o, "price_credits",
                           w->limits.price.is_set ? credits_json(w->limits.price.value) : NULL);
    add_limit(o, "keep_payload_days", &w->limits.keep_payload_days);
    add_limit(o, "keep_rows_days", &w->limits.keep_rows_days);
    cli_add_text(o, "frozen", frozen_names[w->frozen]);
    cli_add_text(o, "timezone", w->limits.timezone ? w->limits.timezone : "UTC");
    cli_add_time(o, "created_at", w->created_ms, true);
    return o;
}

/* Prints the current state of a workspace; for a new one without --json only its id. */
static int print_workspace(struct cli *cli, const id *workspace, bool is_new)
{
    struct workspace *list;
    size_t n;
    enum err e = workspace_list(cli->db, cli->ctx, workspace, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the workspace");
    json_object *o = workspace_json(list);
    return is_new ? cli_print_line(cli, o, workspace->text) : cli_print(cli, o);
}

int cmd_workspace_create(struct cli *cli, int argc, char **argv)
{
    const char *name = NULL, *tenant_text = NULL;
    struct limit_texts t = {0};
    const struct cli_option options[] = {
        {"name", .text_r = &name, .required = true},  {"tenant", .text_r = &tenant_text},
        {"rate-limit-per-minute", .text_r = &t.rate}, {"max-concurrent", .text_r = &t.concurrent},
        {"price-credits", .text_r = &t.price},        {0}};
    struct workspace_limits limits;
    id tenant = {{0}}, workspace = id_new();
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !parse_workspace_limits(cli, &t, &limits))
        return CLI_USAGE;
    if (!*name || strlen(name) > NAME_MAX_BYTES)
        return cli_usage(cli, "--name must have 1 to %d bytes", NAME_MAX_BYTES);
    if (!utf8_is_valid(name, strlen(name)))
        return cli_usage(cli, "--name must be valid UTF-8");
    if (!cli_open(cli, STATEMENT_S) || (tenant_text && cli_tenant(cli, tenant_text, &tenant) != CLI_DONE))
        return CLI_FAILED;
    enum err e = workspace_create(cli->db, &workspace, &tenant, name, &limits);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "tenant not found: %s", tenant.text);
    return e == OK ? print_workspace(cli, &workspace, true) : cli_fail_err(cli, e, "creating the workspace");
}

int cmd_workspace_set(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL;
    struct limit_texts t = {0};
    const struct cli_option options[] = {{"workspace", .text_r = &text},
                                         {"rate-limit-per-minute", .text_r = &t.rate},
                                         {"max-concurrent", .text_r = &t.concurrent},
                                         {"price-credits", .text_r = &t.price},
                                         {"keep-payload-days", .text_r = &t.payload_days},
                                         {"keep-rows-days", .text_r = &t.rows_days},
                                         {"timezone", .text_r = &t.timezone},
                                         {"quotas", .text_r = &t.quotas},
                                         {0}};
    struct workspace_limits limits;
    id workspace;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !parse_workspace_limits(cli, &t, &limits))
        return CLI_USAGE;
    if (!t.rate && !t.concurrent && !t.price && !t.payload_days && !t.rows_days && !t.timezone && !t.quotas)
        return cli_usage(cli, "no limit, price, time zone or quota to set");
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = workspace_set_limits(cli->db, &workspace, &limits);
    return e == OK ? print_workspace(cli, &workspace, false) : cli_fail_err(cli, e, "changing the workspace");
}

/* What the executors and event daemons know. Returns how many of them have not answered; -1: Redis is
 * unreachable. */
static int64_t read_shares(struct cli *cli, const id *workspace, int64_t used[QUOTAS])
{
    struct share_answers answers;
    if (share_question_ask(cli->redis, cli->ctx, workspace, &answers) != OK)
        return -1;
    for (int q = 0; q < QUOTAS; q++) {
        int64_t n;
        if (used[q] < 0 && share_answers_sum(&answers, quota_name((enum quota)q), &n))
            used[q] = n;
    }
    return (int64_t)answers.missing;
}

/* Adds NAME_limit and NAME_used for each quota. */
static enum err add_quotas(struct cli *cli, const id *workspace, json_object *o)
{
    struct quotas quotas;
    int64_t used[QUOTAS];
    enum err e = quota_read(cli->db, cli->ctx, workspace, cli->config, &quotas);
    if (e == OK)
        e = quota_usage(cli->db, cli->ctx, workspace, used);
    int64_t missing = e == OK ? read_shares(cli, workspace, used) : 0;
    for (int q = 0; q < QUOTAS && e == OK; q++) {
        const char *name = quota_name((enum quota)q);
        cli_add_number(o, talloc_asprintf(cli->ctx, "%s_limit", name), quotas.limits[q]);
        if (used[q] >= 0)
            cli_add_number(o, talloc_asprintf(cli->ctx, "%s_used", name), used[q]);
    }
    if (missing != 0)
        cli_add_text(o, "used_is_incomplete",
                     missing < 0 ? "Redis is unreachable" : "a daemon has not answered within a second");
    return e;
}

int cmd_workspace_show(struct cli *cli, int argc, char **argv)
{
    struct workspace *list;
    id workspace;
    size_t n;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = workspace_list(cli->db, cli->ctx, &workspace, &list, &n);
    if (e == OK && n == 0)
        e = ERR_NOT_FOUND;
    if (e != OK)
        return cli_fail_err(cli, e, "reading the workspace");
    json_object *o = workspace_json(list);
    e = add_quotas(cli, &workspace, o);
    if (e == OK)
        return cli_print(cli, o);
    json_object_put(o);
    return cli_fail_err(cli, e, "counting what the workspace has used");
}

int cmd_workspace_list(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    struct workspace *list;
    size_t n;
    enum err e = workspace_list(cli->db, cli->ctx, NULL, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing workspaces");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, workspace_json(&list[i]));
    return cli_print(cli, rows);
}
