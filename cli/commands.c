#include "cli/commands.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/utf8.h"
#include "base/version.h"
#include "deed/deed.h"

const struct command commands[] = {
    {"status", NULL, cmd_status, "",
     "prints the runs by state, the age of the queue, the executors, Redis and the schema; exits with 1 if "
     "there is a problem"},
    {"setup", NULL, cmd_setup,
     "[--check] [--only PART,...] [--print settings|mariadb|redis|nginx|tls] [--listen ADDRESS:PORT] "
     "[--tls-listen PORT|none] [--tls-certificate FILE] [--tls-key FILE] "
     "[--workspace NAME] [--credits N]",
     "makes what Millrace needs on one machine: passwords, settings, database, Redis, the site of nginx, "
     "services, and the first workspace with a key. It may be run again at any time; --check only says what "
     "is missing, and exits with 1 then. --only does some parts (users, secrets, settings, database, redis, "
     "certificate, nginx, workspace, services), for hosts and containers that have only some of the servers; "
     "--print prints a file that it would write, and does nothing"},
    {"doctor", NULL, cmd_doctor, "[--quick api|executor|stream]",
     "examines settings, files, kernel, nginx, certificates, MariaDB, Redis and executors, and says of each "
     "finding what to do; exits with 1 if one is an error. --quick looks only at what one program needs to "
     "start, as its user: on this host, and its rights in MariaDB"},
    {"executor", "list", cmd_executor_list, "",
     "lists the executor processes with host, pid, number of runs and last heartbeat"},
    {"migrate", NULL, cmd_migrate, "[--wait SECONDS] [--stop]",
     "applies the migrations that the database does not have yet; waits for one that another `millrace "
     "migrate` "
     "executes, at most 60 seconds unless --wait is given. --stop says that the programs that an earlier "
     "call "
     "has named are stopped on all hosts: only then migrations are applied that must not run beside them",
     "database.migrate"},
    {"workspace", "create", cmd_workspace_create,
     "--name NAME [--tenant T] [--rate-limit-per-minute N] [--max-concurrent N] [--price-credits N]",
     "creates a workspace (and a tenant, unless --tenant is given); prints its id", "workspace.create"},
    {"workspace", "set", cmd_workspace_set,
     "--workspace W [--rate-limit-per-minute N|default] [--max-concurrent N|default] [--price-credits "
     "N|default] [--keep-payload-days N|default] [--keep-rows-days N|default] [--timezone ZONE|default] "
     "[--quotas NAME=N|default,...]",
     "changes the limits, the price, the retention of payloads and rows, the time zone of the days and "
     "months of "
     "budgets, and the quotas of a workspace; "
     "\"default\" removes a value",
     "workspace.set"},
    {"workspace", "show", cmd_workspace_show, "--workspace W",
     "prints the limits of a workspace, its quotas and what it has used of them"},
    {"workspace", "list", cmd_workspace_list, "", "lists all workspaces"},
    {"workspace", "export", cmd_workspace_export, "--workspace W --key-file FILE [--wait SECONDS] FILE",
     "freezes a workspace once nothing of it is in progress, for which it waits at most 60 seconds unless "
     "--wait is given, and writes all that it has to a new file, for `millrace workspace import` in another "
     "cell; its secrets are sealed by the key of --key-file, which is made if it is not there",
     "workspace.export"},
    {"workspace", "import", cmd_workspace_import, "--key-file FILE FILE",
     "brings a workspace from the file of `millrace workspace export` here and opens it; may be repeated if "
     "it was interrupted",
     "workspace.import"},
    {"workspace", "reopen", cmd_workspace_reopen, "--workspace W",
     "lets a workspace that was exported be used here again: only if its file is imported nowhere",
     "workspace.reopen"},
    {"workspace", "discard", cmd_workspace_discard, "--workspace W",
     "removes a workspace that was exported from here with all that it has: only if it works in the cell "
     "where it was imported",
     "workspace.discard"},
    {"key", "create", cmd_key_create,
     "--workspace W --scopes LIST|all [--expires-in-days N] [--principal ID]",
     "creates an API key and prints it; it cannot be shown again", "key.create"},
    {"key", "list", cmd_key_list, "--workspace W", "lists the keys of a workspace"},
    {"key", "revoke", cmd_key_revoke, "--workspace W KEY",
     "revokes a key permanently; KEY is its id or its displayed beginning", "key.revoke"},
    {"operator", "create", cmd_operator_create,
     "--name NAME --role viewer|operator|billing|admin [--expires-in-days N]",
     "creates an operator, who may use the console for all workspaces with the rights of the role, and "
     "prints "
     "the token to sign in with; it cannot be shown again",
     "operator.create"},
    {"operator", "list", cmd_operator_list, "", "lists the operators"},
    {"operator", "revoke", cmd_operator_revoke, "OPERATOR",
     "revokes an operator permanently and ends the sessions; OPERATOR is the id or the name",
     "operator.revoke"},
    {"credits", "grant", cmd_credits_grant,
     "--workspace W --credits N --reason TEXT [--reference TEXT] [--category paid|promotional] [--priority "
     "N] "
     "[--effective-from TIME] [--expires-at TIME]",
     "adds credits (removes them if negative); prints the new balance. A grant with a reference, such as an "
     "invoice "
     "number, is made once, however often the command is repeated. Grants are used by priority (0 to 100, "
     "default 50, the lowest first), then those that expire first, then promotional ones",
     "credits.grant"},
    {"budget", "set", cmd_budget_set,
     "--workspace W --scope workspace|key|principal|responder|tag [--target T] --period day|month|total "
     "--limit N "
     "[--soft-percent N]",
     "sets the limit of a budget, in credits; makes the budget if the workspace has none of this scope, "
     "target and "
     "period. T is an id or a tag",
     "budget.put"},
    {"budget", "list", cmd_budget_list, "--workspace W",
     "lists the budgets of a workspace with what is used"},
    {"budget", "remove", cmd_budget_remove, "--workspace W ID", "removes a budget", "budget.delete"},
    {"price", "set", cmd_price_set,
     "--workspace W [--responder R] [--model ALIAS] [--from TIME] --credits N|--none [--input-tokens "
     "PRICE,MAX] "
     "[--output-tokens PRICE,MAX] [--cached-tokens PRICE,MAX] [--seconds PRICE,MAX] [--bytes PRICE,MAX]",
     "sets what runs of a workflow or skill, with a model, or of the whole workspace cost from a time on, at "
     "once unless --from is given; the most specific price counts. --none: from then on the less specific "
     "ones. What a run uses is charged at its end: PRICE is credits for a million tokens, a second or a "
     "million "
     "bytes, MAX the most that is charged, which is held when the run is accepted. What has come into force "
     "never changes",
     "price.set"},
    {"price", "list", cmd_price_list, "--workspace W [--all]",
     "lists the dated prices that are in force or to come; with --all also those of the past"},
    {"credits", "void", cmd_credits_void, "--workspace W GRANT --reason TEXT",
     "takes what a grant has left out of the balance; prints the new balance", "credits.void"},
    {"credits", "list", cmd_credits_list,
     "--workspace W [--status scheduled|active|used|expired|voided] [--before ID] [--limit N]",
     "lists grants with what each has left, newest first, at most 20 unless --limit is given"},
    {"credits", "alerts", cmd_credits_alerts,
     "--workspace W [--low LINES] [--spend-percent N [--spend-at-least CREDITS]] [--none]",
     "prints when webhooks are told of a low balance or of unusual spending; with an option, sets it anew. "
     "LINES are credits or percents of the last top-up, separated by commas, such as 50,20%",
     "credits.alerts"},
    {"credits", "balance", cmd_credits_balance, "--workspace W", "prints the balance"},
    {"credits", "ledger", cmd_credits_ledger,
     "--workspace W [--month YYYY-MM] [--kind grant|debit|refund|release|expiry|void] [--before ID] [--limit "
     "N]",
     "lists what has changed the balance, with names, newest first, at most 20 unless --limit is given"},
    {"billing", "statement", cmd_billing_statement,
     "--month YYYY-MM [--workspace W [--by responder|key|day]] [--format table|csv|json|html]",
     "prints opening balance, grants, usage, refunds, expired and voided credits and closing balance of a "
     "month in the workspace's time zone, of one workspace or of all; of one also its usage by responder and "
     "key, or as --by says, and its grants; html is a page to print"},
    {"billing", "export", cmd_billing_export,
     "--month YYYY-MM [--workspace W] [--by workspace|responder|key|day] [--format csv|json|table]",
     "exports the debits and refunds of a month in the workspaces' time zones by workspace, day, responder "
     "and key, or by one of these"},
    {"billing", "roll-up", cmd_billing_roll_up, "--before YYYY-MM [--workspace W]",
     "rolls up the months of the ledger before this one of which no execution remains: removes their rows "
     "and "
     "keeps their sums. It cannot be undone",
     "billing.roll_up"},
    {"billing", "rolled-up", cmd_billing_rolled_up, "[--workspace W]",
     "lists the months of the ledger that are rolled up, with their checksums"},
    {"push", "add", cmd_push_add,
     "NAME --url URL [--kinds LIST] [--bearer-file FILE | --signing-file FILE] [--from-start]",
     "sends the rows of the ledger of all workspaces to URL as CloudEvents, from now on or from the first "
     "row; "
     "LIST are kinds of rows, separated by commas, all by default; FILE holds a bearer token, or a secret "
     "whsec_... that signs requests like webhooks",
     "push.add"},
    {"push", "list", cmd_push_list, "",
     "lists the destinations with what is left to send, what is set aside and the last error"},
    {"push", "pause", cmd_push_pause, "NAME", "sends nothing until push resume", "push.pause"},
    {"push", "resume", cmd_push_resume, "NAME", "goes on where push pause stopped", "push.resume"},
    {"push", "retry", cmd_push_retry, "NAME",
     "sends again what a destination has rejected, and tries a destination that fails at once", "push.retry"},
    {"push", "remove", cmd_push_remove, "NAME", "removes a destination and what is set aside for it",
     "push.remove"},
    {"workflow", "put", cmd_workflow_put, "--workspace W FILE [--name NAME] [--id WORKFLOW] [--principal ID]",
     "stores a workflow, or with --id a new version; FILE (- is standard input) contains the program, or "
     "{name, description, program}; prints its id",
     "workflow.put"},
    {"workflow", "list", cmd_workflow_list, "--workspace W",
     "lists the workflows of a workspace, newest first"},
    {"workflow", "archive", cmd_workflow_archive, "--workspace W WORKFLOW",
     "archives a workflow: it cannot be run any more", "workflow.archive"},
    {"workflow", "price", cmd_workflow_price, "--workspace W WORKFLOW --credits N|default",
     "sets the price of a run of this workflow, which replaces the workspace's price", "workflow.price"},
    {"execution", "list", cmd_execution_list,
     "[--workspace W] [--workflow W] [--state STATE] [--parent ID] [--before ID] [--limit N]",
     "lists executions, newest first, at most 20 unless --limit is given"},
    {"execution", "errors", cmd_execution_errors, "--workspace W [--limit N]",
     "groups the newest 10,000 failed executions of a workspace by their errors, the largest groups first"},
    {"execution", "show", cmd_execution_show, "ID", "prints an execution with its steps and events"},
    {"execution", "stop", cmd_execution_stop, "ID", "stops an execution and its descendants",
     "execution.stop"},
    {"execution", "tail", cmd_execution_tail, "ID [--after N]",
     "prints the events of an execution until it has ended"},
    {"execution", "logs", cmd_execution_logs, "ID [--follow]",
     "prints what the command of a skill's run has written; --follow continues until the run has ended"},
    {"execution", "artifacts", cmd_execution_artifacts, "ID", "lists the files that a run has left"},
    {"execution", "artifact", cmd_execution_artifact, "ID PATH [--output FILE]",
     "copies one of these files to FILE or standard output"},
    {"secret", "set", cmd_secret_set, "--workspace W NAME [--value-file FILE]",
     "sets the secret ${/secrets/NAME}; reads the value from FILE or standard input", "secret.set"},
    {"secret", "list", cmd_secret_list, "--workspace W",
     "lists the names of a workspace's secrets; values are never shown"},
    {"secret", "delete", cmd_secret_delete, "--workspace W NAME", "deletes a secret", "secret.delete"},
    {"secret", "keygen", cmd_secret_keygen, "FILE", "creates a key file for the setting secrets.key_file"},
    {"webhook", "list", cmd_webhook_list, "--workspace W", "lists the webhooks of a workspace"},
    {"webhook", "show", cmd_webhook_show, "--workspace W ID", "prints a webhook; secrets are never shown"},
    {"webhook", "deliveries", cmd_webhook_deliveries, "--workspace W ID [--limit N]",
     "lists the newest deliveries of a webhook, 20 by default"},
    {"webhook", "redeliver", cmd_webhook_redeliver, "--workspace W ID {--delivery D | --since TIME}",
     "sends a delivery again, or all that have failed and were made since TIME (RFC 3339)",
     "webhook.redeliver"},
    {"webhook", "enable", cmd_webhook_enable, "--workspace W ID", "enables a webhook", "webhook.change"},
    {"webhook", "disable", cmd_webhook_disable, "--workspace W ID",
     "disables a webhook; what is pending fails", "webhook.change"},
    {"skill", "check", cmd_skill_check, "DIR",
     "checks a skill; reports each problem with a JSON pointer into skill.json"},
    {"skill", "run", cmd_skill_run, "DIR [--inputs JSON|@FILE] [--file FILE]... [--keep]",
     "runs the command of a skill on this machine in the sandbox, without installing it; prints its outputs, "
     "and its log on "
     "standard error. FILE is staged like an uploaded file. --keep leaves the folder of the run"},
    {"skill", "install", cmd_skill_install, "DIR --workspace W [--development]",
     "installs a skill as a new version, or makes an installed version current; prints its id. --development "
     "adds the hash of "
     "the files to the version, so that an edited skill needs no new version number",
     "skill.install"},
    {"files", "store", cmd_files_store, "",
     "copies the files, artifacts, logs and packages below files.dir that are not in the object store to it, "
     "and prints how many; see docs/files.md"},
    {"skill", "list", cmd_skill_list, "--workspace W", "lists the skills of a workspace"},
    {"skill", "remove", cmd_skill_remove, "SLUG --workspace W", "removes a skill: it cannot be run any more",
     "skill.remove"},
    {"batch-job", "list", cmd_batch_job_list, "--workspace W",
     "lists the bulk jobs of a workspace, newest first"},
    {"batch-job", "show", cmd_batch_job_show, "JOB --workspace W",
     "shows a bulk job, its progress and its first 20 failed items"},
    {"batch-job", "cancel", cmd_batch_job_cancel, "JOB --workspace W",
     "leaves the items alone that are still pending; what was done stands", "bulk_job.cancel"},
    {"schedule", "list", cmd_schedule_list, "--workspace W",
     "lists the schedules of a workspace, newest first"},
    {"schedule", "show", cmd_schedule_show, "SCHEDULE --workspace W",
     "shows a schedule, its next five times and what became of the last 20"},
    {"schedule", "pause", cmd_schedule_pause, "SCHEDULE --workspace W", "starts nothing until it is resumed",
     "schedule.change"},
    {"schedule", "resume", cmd_schedule_resume, "SCHEDULE --workspace W",
     "goes on from now; the times of the pause are not caught up", "schedule.change"},
    {"schedule", "trigger", cmd_schedule_trigger, "SCHEDULE --workspace W",
     "lets an executor start a run now, within a second or two, as a backfill of one time",
     "schedule.backfill"},
    {"model", "put", cmd_model_put,
     "--workspace W --alias A --url U --model M [--api-key-file F] [--input-usd-per-mtok N] "
     "[--output-usd-per-mtok N] [--options JSON] [--default]",
     "adds or changes a model for the skills of a workspace; U is the base URL of an OpenAI-compatible API "
     "(…/v1). JSON says how its requests differ: {\"rename\": {…}, \"drop\": […], \"add\": {…}}",
     "model.put"},
    {"model", "list", cmd_model_list, "--workspace W",
     "lists the models of a workspace; keys are never shown"},
    {"model", "delete", cmd_model_delete, "ALIAS --workspace W", "removes a model", "model.delete"},
    {"schema", "validate", cmd_schema_validate,
     "SCHEMA.json INSTANCE.json [--registry PREFIX=DIR]... [--format-assertion]",
     "validates with JSON Schema 2020-12; exits with 0 if valid, 1 if invalid, 2 if the schema or the input "
     "is "
     "unusable. --registry maps a URI prefix to a folder"},
    {"audit", NULL, cmd_audit, "[--at-rest] [--acknowledged FILE] [--grace-seconds N] [--connections N]",
     "checks the invariants of the data while the system is running; exits with 1 if one is violated. "
     "--at-rest "
     "also checks what must be true of an idle system. --acknowledged: a file of ids that were answered with "
     "201 or 202, one a line. --connections: queries that run at a time (2), 1 to 8"},
    {"audit-log", NULL, cmd_audit_log,
     "[--workspace W] [--actor USER|KEY] [--deed NAME] [--target TEXT] [--from TIME] [--to TIME] [--before "
     "ID] "
     "[--limit N] [--format table|csv|jsonl] [--remove-expired]",
     "lists who changed what, newest first, at most 20 rows unless --limit is given; --format csv or jsonl "
     "exports all rows, oldest first. --remove-expired removes the rows that are older than the setting "
     "admin.audit_log_days",
     "audit_log.remove_expired"},
    {"backup", "create", cmd_backup_create, "--to DIR [--keep N] [--db-user USER]",
     "makes a backup of the database and the files below DIR while Millrace is working; --keep removes the "
     "oldest ones but N afterwards. USER is a database user without a password, by default the one that is "
     "named as the caller",
     "backup.create"},
    {"backup", "verify", cmd_backup_verify, "BACKUP [--scratch DIR] [--acknowledged FILE]",
     "proves a backup, or the newest of a folder of backups: compares its files with their sums, starts "
     "MariaDB on a copy of its database beside "
     "it (or "
     "in DIR), and audits it; exits with 1 if it cannot be restored. --acknowledged as for audit"},
    {"backup", "restore", cmd_backup_restore,
     "BACKUP --datadir DIR --files DIR [--binlogs DIR] [--until TIME] [--more-files DIR] "
     "[--accept-violations]",
     "makes a data directory of MariaDB and a files.dir of a backup; neither may exist, unless empty. "
     "--binlogs "
     "applies the binary logs since then, until TIME (RFC 3339, whole seconds) or to their end; --more-files "
     "has files "
     "that are newer than the backup",
     "backup.restore"},
    {"dbcheck", NULL, cmd_dbcheck, "",
     "serves GET /writer and GET /reader at [dbcheck] listen until SIGTERM: 200 if this node of a Galera "
     "cluster "
     "takes the writes, or may answer reads, else 503; makes the node the writer when the writer is gone"},
    {"cluster", "show", cmd_cluster_show, "",
     "prints this node, the members and the writer of a Galera cluster"},
    {"cluster", "switch", cmd_cluster_switch, "NODE",
     "makes a member (ADDRESS:PORT as in cluster show) the writer, for planned work", "cluster.switch"},
    {"log", NULL, cmd_log, "[--follow] [--workspace W] [--execution ID] [--level debug|info|warn|error]",
     "prints the log of the executor (for what a skill wrote: execution logs); --follow begins with the "
     "newest lines and continues through rotation"},
    {"config", NULL, cmd_config, "--dump|--nginx-origins [--defaults]",
     "prints all settings with their help and current (or default) values; --nginx-origins: the part of the "
     "nginx configuration that api.cors_origins stands for"},
    {"completion", NULL, cmd_completion, "bash|zsh|fish",
     "prints a script that completes commands and options in this shell"},
    {"man", NULL, cmd_man, "[NOUN|PROGRAM]",
     "prints the manual page millrace(1), millrace-NOUN(1), or that of a program such as millrace-api(8), as "
     "troff"},
    {"batch", NULL, cmd_batch, "",
     "runs many commands over one connection. Each line of standard input is a command as a JSON array, for "
     "example [\"workspace\",\"list\"]; its result is printed as with --json, or as {\"error\": …}. Exits "
     "with 1 if "
     "one failed"},
};
const size_t commands_n = sizeof commands / sizeof commands[0];

static const char notes[] =
    "W is a workspace's id or name; without --workspace, $MILLRACE_WORKSPACE_ID is used where a command\n"
    "requires one. Workflows, skills, keys and tenants may be given by id or by name (keys: by the "
    "beginning\n"
    "that is displayed), if the name belongs to one only. Tables are as wide as the terminal; --json prints\n"
    "everything. Settings are read from --config, else $MILLRACE_CONFIG, else run/millrace.ini, else\n"
    "/etc/millrace/millrace.ini. Exit codes: 0 success, 1 failure, 2 usage error.\n";

const char *commands_notes(void)
{
    return notes;
}

static void print_help(FILE *out, const char *noun)
{
    if (!noun)
        fprintf(out,
                "usage: millrace [--config FILE] [--json] COMMAND …\n       millrace --version | --help | "
                "help --table\n\n%s\n",
                notes);
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        if (!noun || strcmp(noun, c->noun) == 0)
            fprintf(out, "millrace %s%s%s %s\n    %s\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
                    c->arguments, c->help);
    }
}

bool commands_have_noun(const char *word)
{
    for (size_t i = 0; i < commands_n; i++) {
        if (strcmp(commands[i].noun, word) == 0)
            return true;
    }
    return false;
}

static const struct command *find_command(const char *noun, const char *verb)
{
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        if (noun && strcmp(c->noun, noun) == 0 && (!c->verb || (verb && strcmp(c->verb, verb) == 0)))
            return c;
    }
    return NULL;
}

/* Removes --json, --version, --config and --help from argv, at any position. False if --config has no value.
 */
static bool parse_global_options(struct cli *cli, int *argc, char **argv, bool *help_r, bool *version_r)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            cli->json = true;
        else if (strcmp(argv[i], "--version") == 0)
            *version_r = true;
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

/* States who acts, for the audit log: the user who called sudo, else the user of this process. */
static void state_actor(const struct cli *cli)
{
    const struct command *c = cli->command;
    const char *sudo = getenv("SUDO_USER");
    const struct passwd *own = getpwuid(geteuid());
    char number[24], host[65] = "";
    snprintf(number, sizeof number, "uid %u", (unsigned)geteuid());
    const char *user = own ? own->pw_name : number;
    (void)gethostname(host, sizeof host - 1);
    deed_begin(DEED_BY_USER, sudo && *sudo ? sudo : user,
               talloc_asprintf(cli->ctx, "millrace %s%s%s on %s as %s", c->noun, c->verb ? " " : "",
                               c->verb ? c->verb : "", host, user));
}

int commands_run(struct cli *cli, int argc, char **argv)
{
    bool help = false, version = false;
    for (int i = 0; i < argc; i++) {
        if (!utf8_is_valid(argv[i], strlen(argv[i])))
            return cli_usage(cli, "argument %d is not valid UTF-8", i + 1);
    }
    if (!parse_global_options(cli, &argc, argv, &help, &version))
        return cli_usage(cli, "--config requires a file");
    if (cli->is_batch && (cli->config_path || help || version || argc == 0))
        return cli_usage(cli, "a line of a batch must be a command without --config, --version and --help");
    if (version) {
        json_object *o = json_object_new_object();
        cli_add_text(o, "version", MILLRACE_VERSION);
        return cli_print_line(cli, o, "millrace " MILLRACE_VERSION);
    }
    const char *noun = argc > 0 ? argv[0] : NULL;
    if (help || (noun && !cli->is_batch && strcmp(noun, "help") == 0)) {
        if (!help && argc == 2 && strcmp(argv[1], "--table") == 0)
            return commands_print_table(cli);
        print_help(stdout, help ? noun : NULL);
        return CLI_DONE;
    }
    cli->command = find_command(noun, argc > 1 ? argv[1] : NULL);
    if (!cli->command) {
        if (noun && !commands_have_noun(noun))
            return cli_usage(cli, "unknown command \"%s\"; millrace --help lists the commands", noun);
        if (cli->is_batch)
            return cli_usage(cli, "incomplete command: %s", noun);
        print_help(stderr, noun);
        return CLI_USAGE;
    }
    state_actor(cli);
    int words = cli->command->verb ? 2 : 1;
    return cli->command->run(cli, argc - words, argv + words);
}
