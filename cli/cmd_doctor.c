#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "cli/commands.h"
#include "command/table.h"
#include "doctor/facts.h"
#include "redis/keys.h"

enum { STATEMENT_S = 10 };

static const char *level_name(enum doctor_level level)
{
    switch (level) {
    case DOCTOR_ERROR:
        return "error";
    case DOCTOR_WARNING:
        return "warning";
    case DOCTOR_OK:
        break;
    }
    return "ok";
}

static json_object *finding_json(const struct doctor_finding *finding)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "check", finding->check);
    cli_add_text(o, "level", level_name(finding->level));
    cli_add_text(o, "found", finding->found);
    cli_add_text(o, "advice", finding->advice);
    return o;
}

/* Opens MariaDB without an error message: being unreachable is a finding. */
static void open_servers(struct cli *cli)
{
    const struct config *c = cli->config;
    const char *password = access(c->admin.db_password_file, R_OK) == 0 || !*c->admin.db_password_file
                               ? config_password(cli->ctx, c->admin.db_password_file)
                               : NULL;
    const struct db_settings settings = {
        .socket = c->database.socket,
        .name = c->database.name,
        .user = c->admin.db_user,
        .password = password,
        .timeout_s = STATEMENT_S,
    };
    if (!cli->db && password) {
        cli->db = db_new(cli->ctx, &settings);
        if (db_ping(cli->db) != OK) {
            talloc_free(cli->db);
            cli->db = NULL;
        }
    }
    redis_keys_set_prefix(c->redis.prefix);
    if (!cli->redis)
        cli->redis = redis_new(cli->ctx, c->redis.socket);
}

static bool parse_program(struct cli *cli, const char *text, enum doctor_program *program_r)
{
    static const char *const names[] = {
        [DOCTOR_API] = "api", [DOCTOR_EXECUTOR] = "executor", [DOCTOR_STREAM] = "stream"};
    for (int i = DOCTOR_API; i <= DOCTOR_STREAM; i++) {
        if (strcmp(names[i], text) == 0) {
            *program_r = (enum doctor_program)i;
            return true;
        }
    }
    cli_usage(cli, "--quick must be api, executor or stream, not \"%s\"", text);
    return false;
}

/* Prints what was found. In the terminal's form, checks that passed are only counted. Returns the number of
 * errors. */
static size_t print_findings(struct cli *cli, const struct doctor_finding *list, size_t n)
{
    json_object *all = json_object_new_array(), *bad = json_own(cli->ctx, json_object_new_array());
    size_t errors = 0;
    for (size_t i = 0; i < n; i++) {
        errors += list[i].level == DOCTOR_ERROR;
        json_object_array_add(all, finding_json(&list[i]));
        if (list[i].level == DOCTOR_OK)
            continue;
        json_object_array_add(bad, finding_json(&list[i]));
        if (!cli->json) {
            char *text = talloc_asprintf(cli->ctx, "%s: %s: %s", level_name(list[i].level), list[i].check,
                                         list[i].found);
            printf("%s\n    %s\n", printable_text(cli->ctx, text, strlen(text)), list[i].advice);
        }
    }
    if (cli->json)
        cli_print(cli, all);
    else
        json_object_put(all);
    if (!cli->json)
        printf("%zu checks: %zu findings, %zu of them errors\n", n, json_object_array_length(bad), errors);
    return errors;
}

int cmd_doctor(struct cli *cli, int argc, char **argv)
{
    const char *quick = NULL;
    const struct cli_option options[] = {{"quick", .text_r = &quick}, {0}};
    enum doctor_program program = DOCTOR_ALL;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || (quick && !parse_program(cli, quick, &program)))
        return CLI_USAGE;
    if (!cli_configure(cli))
        return CLI_FAILED;
    struct doctor_facts facts = {.config = cli->config};
    doctor_look_at_host(cli->ctx, &facts, program);
    if (!quick) {
        open_servers(cli);
        doctor_look_at_servers(cli->ctx, &facts, cli->db, cli->redis);
        if (geteuid() == 0)
            doctor_look_at_nginx(cli->ctx, &facts);
    }
    if (quick || facts.mariadb_answers)
        doctor_look_at_rights(cli->ctx, &facts, program);
    struct doctor_finding *list;
    size_t n = doctor_judge(cli->ctx, &facts, &list);
    return print_findings(cli, list, n) == 0 ? CLI_DONE : CLI_FAILED;
}
