/* millrace: the command of the operators. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"

static int cmd_batch(struct cli *cli, int argc, char **argv);

static const struct command commands[] = {
    {"migrate", NULL, cmd_migrate, "", "applies the migrations that the database does not have yet"},
    {"workspace", "create", cmd_workspace_create,
     "--name NAME [--tenant ID] [--rate-limit-per-minute N] [--max-concurrent N] [--price-credits N]",
     "creates a workspace (and a tenant, unless --tenant is given); prints its id"},
    {"workspace", "set", cmd_workspace_set,
     "--workspace ID [--rate-limit-per-minute N|default] [--max-concurrent N|default] [--price-credits "
     "N|default] [--keep-payload-days N|default] [--keep-rows-days N|default] "
     "[--quotas NAME=N|default,...]",
     "changes the limits, the price, the retention of payloads and rows, and the quotas of a workspace; "
     "\"default\" removes a value"},
    {"workspace", "show", cmd_workspace_show, "--workspace ID",
     "prints the limits of a workspace, its quotas and what it has used of them"},
    {"workspace", "list", cmd_workspace_list, "", "lists all workspaces"},
    {"key", "create", cmd_key_create,
     "--workspace ID --scopes LIST|all [--expires-in-days N] [--principal ID]",
     "creates an API key and prints it; it cannot be shown again"},
    {"key", "list", cmd_key_list, "--workspace ID", "lists the keys of a workspace"},
    {"key", "revoke", cmd_key_revoke, "--workspace ID KEY_ID", "revokes a key permanently"},
    {"credits", "grant", cmd_credits_grant, "--workspace ID --credits N --reason TEXT",
     "adds credits (removes them if negative); prints the new balance"},
    {"credits", "balance", cmd_credits_balance, "--workspace ID", "prints the balance"},
    {"billing", "export", cmd_billing_export, "--month YYYY-MM [--format csv|json] [--workspace ID]",
     "exports the debits and refunds of a month (UTC) by workspace, day, responder and key"},
    {"workflow", "put", cmd_workflow_put, "--workspace ID FILE [--name NAME] [--id ID] [--principal ID]",
     "stores a workflow, or with --id a new version; FILE (- is standard input) contains the program, or "
     "{name, description, program}; prints its id"},
    {"workflow", "list", cmd_workflow_list, "--workspace ID",
     "lists the workflows of a workspace, newest first"},
    {"workflow", "archive", cmd_workflow_archive, "--workspace ID WORKFLOW_ID",
     "archives a workflow: it cannot be run any more"},
    {"workflow", "price", cmd_workflow_price, "--workspace ID WORKFLOW_ID --credits N|default",
     "sets the price of a run of this workflow, which replaces the workspace's price"},
    {"execution", "list", cmd_execution_list,
     "[--workspace ID] [--workflow ID] [--state STATE] [--parent ID] [--before ID] [--limit N]",
     "lists executions, newest first, at most 20 unless --limit is given"},
    {"execution", "show", cmd_execution_show, "ID", "prints an execution with its steps and events"},
    {"execution", "stop", cmd_execution_stop, "ID", "stops an execution and its descendants"},
    {"execution", "tail", cmd_execution_tail, "ID [--after N]",
     "prints the events of an execution until it has ended"},
    {"secret", "set", cmd_secret_set, "--workspace ID NAME [--value-file FILE]",
     "sets the secret ${/secrets/NAME}; reads the value from FILE or standard input"},
    {"secret", "list", cmd_secret_list, "--workspace ID",
     "lists the names of a workspace's secrets; values are never shown"},
    {"secret", "delete", cmd_secret_delete, "--workspace ID NAME", "deletes a secret"},
    {"secret", "keygen", cmd_secret_keygen, "FILE", "creates a key file for the setting secrets.key_file"},
    {"skill", "check", cmd_skill_check, "DIR",
     "checks a skill; reports each problem with a JSON pointer into skill.json"},
    {"skill", "install", cmd_skill_install, "DIR --workspace ID",
     "installs a skill as a new version, or makes an installed version current; prints its id"},
    {"skill", "list", cmd_skill_list, "--workspace ID", "lists the skills of a workspace"},
    {"skill", "remove", cmd_skill_remove, "SLUG --workspace ID",
     "removes a skill: it cannot be run any more"},
    {"model", "put", cmd_model_put,
     "--workspace ID --alias A --url U --model M [--api-key-file F] [--input-usd-per-mtok N] "
     "[--output-usd-per-mtok N] [--default]",
     "adds or changes a model for the skills of a workspace; U is the base URL of an OpenAI-compatible API "
     "(…/v1)"},
    {"model", "list", cmd_model_list, "--workspace ID",
     "lists the models of a workspace; keys are never shown"},
    {"model", "delete", cmd_model_delete, "ALIAS --workspace ID", "removes a model"},
    {"schema", "validate", cmd_schema_validate,
     "SCHEMA.json INSTANCE.json [--registry PREFIX=DIR]... [--format-assertion]",
     "validates with JSON Schema 2020-12; exits with 0 if valid, 1 if invalid, 2 if the schema or the input "
     "is "
     "unusable. --registry maps a URI prefix to a folder"},
    {"audit", NULL, cmd_audit, "[--at-rest] [--acknowledged FILE] [--grace-seconds N]",
     "checks the invariants of the data while the system is running; exits with 1 if one is violated. "
     "--at-rest "
     "also checks what must be true of an idle system. --acknowledged: a file of ids that were answered with "
     "201 or 202, one a line"},
    {"log", NULL, cmd_log, "[--follow] [--workspace ID] [--execution ID] [--level debug|info|warn|error]",
     "prints the executor's log; --follow begins with the newest lines and continues through rotation"},
    {"config", NULL, cmd_config, "--dump [--defaults]",
     "prints all settings with their help and current (or default) values"},
    {"batch", NULL, cmd_batch, "",
     "runs many commands over one connection. Each line of standard input is a command as a JSON array, for "
     "example [\"workspace\",\"list\"]; its result is printed as with --json, or as {\"error\": …}. Exits "
     "with 1 if "
     "one failed"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out, const char *noun)
{
    if (!noun)
        fputs("usage: millrace [--config FILE] [--json] COMMAND …\n\n"
              "Settings are read from --config, else $MILLRACE_CONFIG, else run/millrace.ini, else\n"
              "/etc/millrace/millrace.ini. --json prints JSON. Exit codes: 0 success, 1 failure, 2 usage "
              "error.\n\n",
              out);
    for (int i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        if (!noun || strcmp(noun, c->noun) == 0)
            fprintf(out, "millrace %s%s%s %s\n    %s\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
                    c->arguments, c->help);
    }
}

static bool is_noun(const char *word)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].noun, word) == 0)
            return true;
    }
    return false;
}

static const struct command *find_command(const char *noun, const char *verb)
{
    for (int i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        if (noun && strcmp(c->noun, noun) == 0 && (!c->verb || (verb && strcmp(c->verb, verb) == 0)))
            return c;
    }
    return NULL;
}

/* Removes --json, --config and --help from argv, at any position. False if --config has no value. */
static bool parse_global_options(struct cli *cli, int *argc, char **argv, bool *help_r)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            cli->json = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            *help_r = true;
        else if (strncmp(argv[i], "--config=", 9) == 0)
            cli->config_path = argv[i] + 9;
        else if (strcmp(argv[i], "--config") != 0)
            argv[kept++] = argv[i];
        else if (++i == *argc)
            return false;
        else
            cli->config_path = argv[i];
    }
    *argc = kept;
    return true;
}

static int run_command(struct cli *cli, int argc, char **argv)
{
    bool help = false;
    if (!parse_global_options(cli, &argc, argv, &help))
        return cli_usage(cli, "--config requires a file");
    if (cli->is_batch && (cli->config_path || help || argc == 0))
        return cli_usage(cli, "a line of a batch must be a command without --config and --help");
    const char *noun = argc > 0 ? argv[0] : NULL;
    if (help || (noun && !cli->is_batch && strcmp(noun, "help") == 0)) {
        print_help(stdout, help ? noun : NULL);
        return CLI_DONE;
    }
    cli->command = find_command(noun, argc > 1 ? argv[1] : NULL);
    if (!cli->command) {
        if (noun && !is_noun(noun))
            return cli_usage(cli, "unknown command \"%s\"; millrace --help lists the commands", noun);
        if (cli->is_batch)
            return cli_usage(cli, "incomplete command: %s", noun);
        print_help(stderr, noun);
        return CLI_USAGE;
    }
    int words = cli->command->verb ? 2 : 1;
    return cli->command->run(cli, argc - words, argv + words);
}

/* Returns the words of a line, as main() would get them; NULL if the line is not a JSON array of strings. */
static char **parse_batch_line(struct cli *cli, const char *line, size_t size, int *count_r)
{
    json_object *list;
    const char *why;
    if (json_parse(cli->ctx, line, size, 1, &list, &why) != OK || !json_object_is_type(list, json_type_array))
        return NULL;
    *count_r = (int)json_object_array_length(list);
    char **words = talloc_array(cli->ctx, char *, *count_r + 1);
    for (int i = 0; i < *count_r; i++) {
        json_object *word = json_object_array_get_idx(list, (size_t)i);
        if (!json_object_is_type(word, json_type_string))
            return NULL;
        words[i] = talloc_strdup(words, json_object_get_string(word));
    }
    words[*count_r] = NULL;
    return words;
}

/* Runs one command of a batch. Connections that it opens stay open for the following ones. */
static int run_batch_line(struct cli *batch, const char *line, size_t size)
{
    struct cli cli = *batch;
    cli.ctx = talloc_new(batch->ctx);
    cli.command = NULL;
    cli.config_path = NULL;
    int count, code;
    char **words = parse_batch_line(&cli, line, size, &count);
    code =
        words ? run_command(&cli, count, words) : cli_usage(&cli, "a line must be a JSON array of strings");
    talloc_free(cli.ctx);
    return code;
}

static int cmd_batch(struct cli *cli, int argc, char **argv)
{
    enum { STATEMENT_S = 3600 }; /* the longest of all commands */
    const struct cli_option options[] = {{0}};
    if (cli->is_batch)
        return cli_usage(cli, "a batch must not contain a batch");
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    cli->json = cli->is_batch = true;
    /* a command that reads standard input finds it empty, instead of reading the following commands */
    FILE *lines = fdopen(dup(STDIN_FILENO), "r");
    if (!lines || !freopen("/dev/null", "r", stdin))
        return cli_fail(cli, "standard input: %m");
    char *line = NULL;
    size_t room = 0;
    int code = CLI_DONE;
    for (ssize_t n; (n = getline(&line, &room, lines)) > 0;) {
        if (run_batch_line(cli, line, (size_t)n) != CLI_DONE)
            code = CLI_FAILED;
        fflush(stdout);
    }
    free(line);
    fclose(lines);
    return code;
}

int main(int argc, char **argv)
{
    if (log_open("millrace", NULL, LOG_LEVEL_WARN) != OK)
        return CLI_FAILED;
    struct cli cli = {.ctx = talloc_new(NULL)};
    int code = run_command(&cli, argc - 1, argv + 1);
    talloc_free(cli.ctx);
    if (fflush(stdout) != 0)
        code = CLI_FAILED;
    return code;
}
