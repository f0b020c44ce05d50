/* The table of commands of millrace-cli, and what is true of all of them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "base/version.h"
#include "command/table.h"
#include "remote/remote.h"
#include "json/json.h"

static const struct remote_command {
    struct command_text text;
    /* NULL: completion and man, which need no server */
    int (*run)(struct remote *r, int argc, char **argv);
} table[] = {
    {{"run", NULL,
      "WORKFLOW|SLUG [--space ID] [--inputs JSON|@FILE] [--file NAME]... [--tag TEXT]... [--model ALIAS] "
      "[--wait] "
      "[--timeout SECONDS] [--idempotency-key KEY]",
      "starts a run of a workflow, or with --space of a skill, and prints its id; with --wait, waits for its "
      "end and "
      "prints its output. FILE - is standard input. --file names an uploaded file for a skill. Without "
      "--idempotency-key a new key is used",
      NULL},
     remote_run},
    {{"retry", NULL, "EXECUTION [--wait] [--timeout SECONDS] [--idempotency-key KEY]",
      "starts a new run with the inputs and the version of another one; otherwise as run", NULL},
     remote_retry},
    {{"show", NULL, "EXECUTION [--steps] [--wait] [--timeout SECONDS]",
      "prints an execution, with --steps also its steps; --wait waits for its end first", NULL},
     remote_show},
    {{"list", NULL,
      "[--workflow ID] [--state STATE] [--tag TEXT] [--parent ID] [--error TEXT] [--error-hash HASH] "
      "[--limit N] [--after CURSOR]",
      "lists executions, newest first, at most 20 unless --limit is given", NULL},
     remote_list},
    {{"errors", NULL, "[--limit N]",
      "groups the newest 10,000 failed executions by their errors, the largest groups first", NULL},
     remote_errors},
    {{"stop", NULL, "EXECUTION [--idempotency-key KEY]", "stops an execution and its descendants", NULL},
     remote_stop},
    {{"signal", NULL,
      "EXECUTION NAME [--data JSON|@FILE] [--idempotency-key KEY] [--ticket] [--question TEXT] [--choice "
      "TEXT]... "
      "[--recipient TEXT] [--expires SECONDS]",
      "sends a signal, with null or the data, and prints whether it was delivered or kept; with --ticket, "
      "prints "
      "a one-time URL with which a person sends it, by a form or by a button for each --choice",
      NULL},
     remote_signal},
    {{"logs", NULL, "EXECUTION [--follow|-f]",
      "prints what the command of a skill's run has written; --follow continues until the run has ended",
      NULL},
     remote_logs},
    {{"events", NULL, "EXECUTION [--since N]",
      "prints the events of an execution as they happen, until it has ended; with --since, those after "
      "number N",
      NULL},
     remote_events},
    {{"upload", NULL, "FILE... [--media-type TYPE]",
      "stores files and prints the names under which skills find them", NULL},
     remote_upload},
    {{"completion", NULL, "bash|zsh|fish",
      "prints a script that completes commands and options in this shell", NULL},
     NULL},
    {{"man", NULL, "", "prints the manual page millrace-cli(1) as troff", NULL}, NULL},
};
enum { COMMANDS = sizeof table / sizeof table[0] };

static const char notes[] =
    "URL and key are read from $MILLRACE_URL and $MILLRACE_API_KEY, else from the file of --config,\n"
    "$MILLRACE_CLI_CONFIG or ~/.config/millrace/cli.ini (lines url = … and api_key = …, mode 600). A request "
    "is\n"
    "repeated after a broken connection, 408, 429, 502, 503 and 504 for at most --retry-seconds (60), after "
    "the\n"
    "delay that the server asks for. --json prints the API's own JSON. Exit codes: 0 success, 1 the run that "
    "was\n"
    "awaited failed or was stopped, 2 usage error, 3 the API refused the request, 4 no answer or an error of "
    "the\n"
    "server, 5 the run has not ended within --timeout and continues.\n";

static struct command_reference reference(struct remote *r)
{
    struct command_text *list = talloc_array(r->ctx, struct command_text, COMMANDS);
    for (size_t i = 0; i < COMMANDS; i++)
        list[i] = table[i].text;
    return (struct command_reference){
        .name = "millrace-cli",
        .purpose = "runs workflows and skills of a Millrace server",
        .synopsis = "millrace-cli [--config FILE] [--json] [--retry-seconds N] COMMAND …",
        .notes = notes,
        .global_options = "--json --config --retry-seconds --help --version",
        .commands = list,
        .n = COMMANDS,
    };
}

/* --- output --- */

PRINTF_LIKE(2, 0)
static void print_error(struct remote *r, const char *format, va_list args)
{
    char *text = talloc_vasprintf(r->ctx, format, args);
    if (!r->json) {
        for (char *line; (line = strsep(&text, "\n")) != NULL;)
            fprintf(stderr, "%s%s\n",
                    *line == ' ' ? "" : "millrace-cli: ", printable_text(r->ctx, line, strlen(line)));
        return;
    }
    json_object *o = json_own(r->ctx, json_object_new_object());
    json_object_object_add(o, "error", json_object_new_string(text));
    fprintf(stderr, "%s\n", json_text(o, NULL));
}

int remote_usage(struct remote *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(r, format, args);
    va_end(args);
    if (!r->json && r->command)
        fprintf(stderr, "usage: millrace-cli %s %s\n", r->command->noun, r->command->arguments);
    return REMOTE_USAGE;
}

int remote_fail(struct remote *r, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(r, format, args);
    va_end(args);
    return code;
}

/* --- the command line --- */

static void print_help(FILE *out, const char *noun)
{
    if (!noun)
        fprintf(out,
                "usage: millrace-cli [--config FILE] [--json] [--retry-seconds N] COMMAND …\n"
                "       millrace-cli --version | --help | help --table\n\n%s\n",
                notes);
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command_text *c = &table[i].text;
        if (!noun || strcmp(noun, c->noun) == 0)
            fprintf(out, "millrace-cli %s %s\n    %s\n", c->noun, c->arguments, c->help);
    }
}

/* Removes the options of all commands from argv, at any position. False if one has no value. */
static bool parse_global_options(struct remote *r, int *argc, char **argv, bool *help_r, bool *version_r)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool is_config = strcmp(argv[i], "--config") == 0, is_retry = strcmp(argv[i], "--retry-seconds") == 0;
        if ((is_config || is_retry) && i + 1 == *argc)
            return false;
        if (is_config)
            r->config_path = argv[++i];
        else if (is_retry)
            r->retry_text = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            r->json = true;
        else if (strcmp(argv[i], "--version") == 0)
            *version_r = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            *help_r = true;
        else if (strncmp(argv[i], "--config=", 9) == 0)
            r->config_path = argv[i] + 9;
        else if (strncmp(argv[i], "--retry-seconds=", 16) == 0)
            r->retry_text = argv[i] + 16;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return true;
}

static int print_reference(struct remote *r, const char *noun, int argc, char **argv)
{
    struct command_reference ref = reference(r);
    if (strcmp(noun, "man") == 0)
        return argc > 0 ? remote_usage(r, "unexpected argument \"%s\"", argv[0])
                        : (reference_print_man(&ref, NULL), REMOTE_DONE);
    if (argc != 1 || !reference_print_completion(r->ctx, &ref, argv[0]))
        return remote_usage(r, "the shell must be bash, zsh or fish");
    return REMOTE_DONE;
}

static const struct remote_command *find_command(const char *noun)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (noun && strcmp(table[i].text.noun, noun) == 0)
            return &table[i];
    }
    return NULL;
}

static int print_table(struct remote *r)
{
    struct command_reference ref = reference(r);
    puts(json_text(json_own(r->ctx, reference_table(r->ctx, &ref)), NULL));
    return REMOTE_DONE;
}

int remote_main(struct remote *r, int argc, char **argv)
{
    bool help = false, version = false;
    for (int i = 0; i < argc; i++) {
        if (!utf8_is_valid(argv[i], strlen(argv[i])))
            return remote_usage(r, "argument %d is not valid UTF-8", i + 1);
    }
    if (!parse_global_options(r, &argc, argv, &help, &version))
        return remote_usage(r, "--config and --retry-seconds require a value");
    const char *noun = argc > 0 ? argv[0] : NULL;
    if (version)
        return puts("millrace-cli " MILLRACE_VERSION) < 0 ? REMOTE_UNREACHABLE : REMOTE_DONE;
    if (noun && strcmp(noun, "help") == 0 && argc == 2 && strcmp(argv[1], "--table") == 0)
        return print_table(r);
    if (help || (noun && strcmp(noun, "help") == 0)) {
        print_help(stdout, help ? noun : NULL);
        return REMOTE_DONE;
    }
    const struct remote_command *c = find_command(noun);
    if (!c) {
        if (noun)
            return remote_usage(r, "unknown command \"%s\"; millrace-cli --help lists the commands", noun);
        print_help(stderr, NULL);
        return REMOTE_USAGE;
    }
    r->command = &c->text;
    return c->run ? c->run(r, argc - 1, argv + 1) : print_reference(r, c->text.noun, argc - 1, argv + 1);
}
