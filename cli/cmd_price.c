#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "spending/price_store.h"
#include "store/model.h"

enum { STATEMENT_S = 10, MS_PER_S = 1000 };
/* tokens, seconds or bytes */
#define USE_MAX INT64_C(1000000000000)

/* Seconds are stored as milliseconds. */
static int64_t unit_scale(int unit)
{
    return unit == PRICE_TIME ? MS_PER_S : 1;
}

static json_object *use_json(const struct price_list *l)
{
    json_object *use = json_object_new_object();
    for (int u = 0; u < PRICE_UNITS; u++) {
        if (l->units[u].max == 0)
            continue;
        json_object *o = json_object_new_object();
        cli_add_credits(o, "credits", l->units[u].price);
        cli_add_number(o, "max", l->units[u].max / unit_scale(u));
        json_object_object_add(use, price_unit_name((enum price_unit)u), o);
    }
    return use;
}

static json_object *list_json(const struct price_list *l, bool in_force)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", l->id.text);
    cli_add_text(o, "responder_id", id_is_set(&l->responder_id) ? l->responder_id.text : NULL);
    cli_add_text(o, "model", l->model);
    cli_add_time(o, "effective_from", l->effective_ms, true);
    json_object_object_add(o, "in_force", json_object_new_boolean(in_force));
    json_object_object_add(o, "ended", json_object_new_boolean(l->ended));
    json_object_object_add(o, "credits", l->fixed >= 0 ? credits_json(l->fixed) : NULL);
    cli_add_credits(o, "held", price_held(l->units));
    json_object_object_add(o, "use", use_json(l));
    return o;
}

int cmd_price_list(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    const struct cli_option options[] = {{"all", .flag_r = &all}, {0}};
    struct shown_price_list *list;
    size_t n;
    id workspace;
    int code = cli_begin(cli, argc, argv, options, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = price_lists_shown(cli->db, cli->ctx, &workspace, all, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing price lists");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, list_json(&list[i].list, list[i].in_force));
    return cli_print(cli, rows);
}

struct price_texts {
    const char *workspace, *responder, *from, *credits;
    const char *use[PRICE_UNITS];
};

/* PRICE,MAX */
static bool parse_unit(struct cli *cli, int unit, const char *text, struct unit_price *u)
{
    const char *option = talloc_asprintf(cli->ctx, "--%s", price_unit_name((enum price_unit)unit));
    const char *comma = text ? strchr(text, ',') : NULL;
    if (!text)
        return true;
    for (char *c = strchr(option, '_'); c; c = strchr(c, '_'))
        *c = '-';
    if (!comma)
        return cli_usage(cli, "%s must be PRICE,MAX, not \"%s\"", option, text), false;
    if (!cli_credits(cli, option, talloc_strndup(cli->ctx, text, (size_t)(comma - text)), 0, &u->price) ||
        !cli_number(cli, option, comma + 1, 1, USE_MAX, &u->max))
        return false;
    u->max *= unit_scale(unit);
    return true;
}

static bool parse_use(struct cli *cli, const struct price_texts *t, struct price_list *l)
{
    bool any = false;
    for (int u = 0; u < PRICE_UNITS; u++) {
        any = any || t->use[u];
        if (!parse_unit(cli, u, t->use[u], &l->units[u]))
            return false;
    }
    if (any && l->ended)
        return cli_usage(cli, "--none takes no prices"), false;
    if (price_held(l->units) > PRICE_TOTAL_MAX)
        return cli_usage(cli, "what is held for a run must be at most 1000000000 credits"), false;
    return true;
}

static bool parse_list(struct cli *cli, const struct price_texts *t, struct price_list *l)
{
    if (l->model && !model_alias_fits(l->model))
        return cli_usage(cli, "--model must be the alias of a model"), false;
    l->effective_ms = t->from ? clock_parse(t->from) : 0;
    if (t->from && l->effective_ms <= 0)
        return cli_usage(cli, "--from must be a date or a date-time (RFC 3339), not \"%s\"", t->from), false;
    l->fixed = -1;
    if (l->ended == (t->credits != NULL))
        return cli_usage(cli, "either --credits or --none is needed"), false;
    if (t->credits && !cli_credits(cli, "--credits", t->credits, 0, &l->fixed))
        return false;
    if (l->fixed > PRICE_TOTAL_MAX)
        return cli_usage(cli, "--credits must be at most 1000000000"), false;
    return parse_use(cli, t, l);
}

static int fail_setting(struct cli *cli, enum err e, const struct price_texts *t)
{
    if (e == ERR_INVALID)
        return cli_fail(cli, "the workspace has no such workflow or skill: %s", t->responder);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "%s has passed: the price of runs that were accepted does not change", t->from);
    if (e == ERR_LIMIT)
        return cli_fail(cli, "the workspace has %d price lists that are in force or to come",
                        PRICE_LISTS_MAX);
    return cli_fail_err(cli, e, "setting the price");
}

int cmd_price_set(struct cli *cli, int argc, char **argv)
{
    struct price_texts t = {0};
    struct price_list list = {.id = id_new()};
    const struct cli_option options[] = {{"workspace", .text_r = &t.workspace},
                                         {"responder", .text_r = &t.responder},
                                         {"model", .text_r = &list.model},
                                         {"from", .text_r = &t.from},
                                         {"credits", .text_r = &t.credits},
                                         {"none", .flag_r = &list.ended},
                                         {"input-tokens", .text_r = &t.use[PRICE_INPUT]},
                                         {"output-tokens", .text_r = &t.use[PRICE_OUTPUT]},
                                         {"cached-tokens", .text_r = &t.use[PRICE_CACHED]},
                                         {"seconds", .text_r = &t.use[PRICE_TIME]},
                                         {"bytes", .text_r = &t.use[PRICE_BYTES]},
                                         {0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !parse_list(cli, &t, &list))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, t.workspace, &list.workspace_id);
    if (code == CLI_DONE && t.responder)
        code = cli_responder(cli, &list.workspace_id, t.responder, &list.responder_id);
    if (code != CLI_DONE)
        return code;
    enum err e = price_list_set(cli->db, &list);
    if (e != OK)
        return fail_setting(cli, e, &t);
    return cli_print(cli, list_json(&list, list.effective_ms <= list.created_ms));
}
