#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "spending/alert_store.h"

enum { STATEMENT_S = 10 };

struct alert_texts {
    const char *workspace, *low, *percent, *at_least;
    bool none;
};

static void add_if_known(json_object *o, const char *name, int64_t micro, bool is_known)
{
    if (is_known)
        cli_add_credits(o, name, micro);
    else
        json_object_object_add(o, name, NULL);
}

static json_object *alert_json(const struct alert *alert, const struct alert_list *list)
{
    static const char *const kinds[] = {
        [ALERT_CREDITS] = "credits", [ALERT_PERCENT] = "percent", [ALERT_SPEND] = "spend"};
    json_object *o = json_object_new_object();
    cli_add_text(o, "kind", kinds[alert->kind]);
    if (alert->kind == ALERT_CREDITS)
        cli_add_credits(o, "value", alert->value);
    else
        json_object_object_add(o, "value", json_object_new_int64(alert->value));
    add_if_known(o, "at_least", alert->at_least, alert->kind == ALERT_SPEND);
    add_if_known(o, "usual", alert->usual, alert->usual >= 0);
    add_if_known(o, "line", alert->line, alert->line >= 0);
    cli_add_credits(o, "now", alert->kind == ALERT_SPEND ? list->spent : list->balance);
    json_object_object_add(o, "crossed", json_object_new_boolean(alert->told));
    return o;
}

/* "50" or "20%" */
static bool read_line(struct cli *cli, char *text, struct alert_settings *s)
{
    size_t size = strlen(text);
    bool is_percent = size > 0 && text[size - 1] == '%';
    int64_t value;
    if (is_percent)
        text[size - 1] = '\0';
    bool valid = is_percent ? cli_number(cli, "--low", text, ALERT_PERCENT_MIN, ALERT_PERCENT_MAX, &value)
                            : cli_credits(cli, "--low", text, 0, &value);
    if (!valid)
        return false;
    if (value > ALERT_CREDITS_MAX ||
        !alert_settings_add(s, is_percent ? ALERT_PERCENT : ALERT_CREDITS, value))
        return cli_usage(cli, "--low takes at most %d different lines of at most 1000000000 credits",
                         ALERT_LINES_MAX),
               false;
    return true;
}

static bool read_settings(struct cli *cli, const struct alert_texts *t, struct alert_settings *s)
{
    struct alert spend = {.kind = ALERT_SPEND};
    char *rest = t->low ? talloc_strdup(cli->ctx, t->low) : NULL;
    if (t->none && (t->low || t->percent || t->at_least))
        return cli_usage(cli, "--none takes no other alert"), false;
    if (t->at_least && !t->percent)
        return cli_usage(cli, "--spend-at-least needs --spend-percent"), false;
    while (rest) {
        if (!read_line(cli, strsep(&rest, ","), s))
            return false;
    }
    if (!t->percent)
        return true;
    if (!cli_number(cli, "--spend-percent", t->percent, ALERT_SPEND_PERCENT_MIN, ALERT_SPEND_PERCENT_MAX,
                    &spend.value) ||
        !cli_credits(cli, "--spend-at-least", t->at_least ? t->at_least : "0", 0, &spend.at_least))
        return false;
    if (spend.at_least > ALERT_CREDITS_MAX)
        return cli_usage(cli, "--spend-at-least must be at most 1000000000"), false;
    s->wanted[s->n++] = spend;
    return true;
}

int cmd_credits_alerts(struct cli *cli, int argc, char **argv)
{
    struct alert_texts t = {0};
    struct alert_settings settings = {0};
    struct alert_list list;
    const struct cli_option options[] = {{"workspace", .text_r = &t.workspace},
                                         {"low", .text_r = &t.low},
                                         {"spend-percent", .text_r = &t.percent},
                                         {"spend-at-least", .text_r = &t.at_least},
                                         {"none", .flag_r = &t.none},
                                         {0}};
    id workspace;
    enum err e = OK;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !read_settings(cli, &t, &settings))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, t.workspace, &workspace);
    if (code != CLI_DONE)
        return code;
    if (settings.n > 0 || t.none)
        e = alert_settings_store(cli->db, &workspace, &settings);
    if (e == OK)
        e = alerts_read(cli->db, cli->ctx, &workspace, &list);
    if (e != OK)
        return cli_fail_err(cli, e, "setting the alerts");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < list.n; i++)
        json_object_array_add(rows, alert_json(&list.alerts[i], &list));
    return cli_print(cli, rows);
}
