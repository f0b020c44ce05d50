/* millrace completion and man: made from the table of commands. */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/version.h"
#include "cli/commands.h"
#include "command/reference.h"

static struct command_reference reference_of(struct cli *cli)
{
    struct command_text *list = talloc_array(cli->ctx, struct command_text, commands_n);
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        list[i] = (struct command_text){c->noun, c->verb, c->arguments, c->help, c->deed};
    }
    return (struct command_reference){
        .name = "millrace",
        .purpose = "the command of Millrace's operators",
        .synopsis = "millrace [--config FILE] [--json] COMMAND …",
        .notes = commands_notes(),
        .global_options = "--json --config --help --version",
        .commands = list,
        .n = commands_n,
    };
}

int commands_print_table(struct cli *cli)
{
    struct command_reference r = reference_of(cli);
    cli->json = true;
    return cli_print(cli, reference_table(cli->ctx, &r));
}

int cmd_completion(struct cli *cli, int argc, char **argv)
{
    const char *shell;
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, &shell, 1))
        return CLI_USAGE;
    struct command_reference r = reference_of(cli);
    return reference_print_completion(cli->ctx, &r, shell)
               ? CLI_DONE
               : cli_usage(cli, "the shell must be bash, zsh or fish, not \"%s\"", shell);
}

struct program_page {
    const char *name, *summary, *synopsis, *description;
};
static const char daemon_synopsis[] = "[--config FILE] | --version | --help";
static const struct program_page programs[] = {
    {"millrace-api", "the pool of Millrace that answers the requests of nginx", daemon_synopsis,
     "A master process starts worker processes, which receive requests by FastCGI on the Unix sockets "
     "api.socket and api.uploads_socket of the settings. SIGTERM: answers the requests in progress and "
     "ends. SIGHUP: starts workers with the new settings. SIGUSR1: opens the log file again. SIGUSR2: "
     "writes the state of the processes to the log."},
    {"millrace-executor", "the executor of Millrace's workflows and skills", daemon_synopsis,
     "A master process starts executor processes, which claim queued runs in MariaDB and execute them. "
     "SIGTERM: running steps finish within executor.grace_s, other runs are released to the queue. "
     "SIGUSR1: opens the log file again. SIGUSR2: writes the state of the processes to the log."},
    {"millrace-runner", "starts the command of a skill in a sandbox", "",
     "Is started for one command, whose job millrace-executor describes on a pipe; it is not for other uses. "
     "With --listen PATH it starts itself for executors that connect to this Unix socket (the setting "
     "executor.runner_socket), so that commands are in its control group and not in theirs. --check [UID] "
     "tells which features of the sandbox this machine offers."},
    {"millrace-stream", "the daemon of Millrace that sends events of executions to clients", daemon_synopsis,
     "Serves event streams and waiting requests, which nginx passes to the Unix socket stream.socket of the "
     "settings. SIGTERM: closes all streams and ends; clients reconnect. SIGUSR1: opens the log file again. "
     "SIGUSR2: writes the state of the process to the log."},
};

static const struct program_page *find_program(const char *name)
{
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        if (name && strcmp(programs[i].name, name) == 0)
            return &programs[i];
    }
    return NULL;
}

static void print_program_man(const struct program_page *p)
{
    printf(".TH %s 8 \"\" \"Millrace %s\" \"Millrace\"\n.SH NAME\n", p->name, MILLRACE_VERSION);
    reference_print_troff(p->name);
    fputs(" \\- ", stdout);
    reference_print_troff(p->summary);
    printf("\n.SH SYNOPSIS\n.B ");
    reference_print_troff(p->name);
    putchar('\n');
    reference_print_troff(p->synopsis);
    puts(*p->synopsis ? "" : ".PP");
    reference_print_section("DESCRIPTION", p->description);
    if (*p->synopsis)
        reference_print_section("FILES",
                                "/etc/millrace/millrace.ini: the settings, unless --config names a file; "
                                "see millrace config --dump.");
    puts(".SH SEE ALSO\n.BR millrace (1)");
}

int cmd_man(struct cli *cli, int argc, char **argv)
{
    const char *noun = NULL;
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, argc > 0 ? &noun : NULL, argc > 0))
        return CLI_USAGE;
    const struct program_page *program = find_program(noun);
    struct command_reference r = reference_of(cli);
    if (program)
        print_program_man(program);
    else if (!reference_print_man(&r, noun))
        return cli_usage(cli, "there is no command \"%s\"; millrace --help lists the commands", noun);
    return CLI_DONE;
}
