/* millrace completion and man: made from the table of commands. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/version.h"
#include "cli/commands.h"

static const char global_options[] = "--json --config --help --version";

/* Returns the options that a command's usage line names, separated by spaces. */
static const char *options_of(void *ctx, const struct command *c)
{
    char *out = talloc_strdup(ctx, "");
    for (const char *at = strstr(c->arguments, "--"); at; at = strstr(at, "--")) {
        size_t n = 2;
        while (isalnum((unsigned char)at[n]) || (at[n] == '-' && at[n - 1] != '-'))
            n++;
        out = talloc_asprintf_append_buffer(out, "%s%.*s", *out ? " " : "", (int)n, at);
        at += n;
    }
    return out;
}

/* True if no earlier row has this noun. */
static bool is_first_of_noun(size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (strcmp(commands[i].noun, commands[row].noun) == 0)
            return false;
    }
    return true;
}

static const char *nouns(void *ctx)
{
    char *out = talloc_strdup(ctx, "");
    for (size_t i = 0; i < commands_n; i++) {
        if (is_first_of_noun(i))
            out = talloc_asprintf_append_buffer(out, "%s%s", *out ? " " : "", commands[i].noun);
    }
    return out;
}

static const char *verbs(void *ctx, const char *noun)
{
    char *out = talloc_strdup(ctx, "");
    for (size_t i = 0; i < commands_n; i++) {
        if (strcmp(commands[i].noun, noun) == 0 && commands[i].verb)
            out = talloc_asprintf_append_buffer(out, "%s%s", *out ? " " : "", commands[i].verb);
    }
    return out;
}

/* --- the table --- */

int commands_print_table(struct cli *cli)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        json_object *o = json_object_new_object(), *options = json_object_new_array();
        char *rest = talloc_strdup(cli->ctx, options_of(cli->ctx, c));
        for (char *one; (one = strsep(&rest, " ")) != NULL;) {
            if (*one)
                json_object_array_add(options, json_object_new_string(one));
        }
        cli_add_text(o, "noun", c->noun);
        cli_add_text(o, "verb", c->verb);
        cli_add_text(o, "arguments", c->arguments);
        json_object_object_add(o, "options", options);
        cli_add_text(o, "help", c->help);
        cli_add_text(o, "deed", c->deed);
        json_object_array_add(list, o);
    }
    cli->json = true;
    return cli_print(cli, list);
}

/* --- completion --- */

static void print_bash(void *ctx)
{
    printf("# completion of millrace for bash: . <(millrace completion bash)\n"
           "_millrace() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words=() w list files=0\n"
           "    for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do [[ $w == -* ]] || words+=(\"$w\"); done\n"
           "    case ${#words[@]} in\n"
           "    0) list='%s' ;;\n"
           "    *)\n"
           "        case ${words[0]} in\n",
           nouns(ctx));
    for (size_t i = 0; i < commands_n; i++) {
        if (commands[i].verb && is_first_of_noun(i))
            printf("        %s) list='%s' ;;\n", commands[i].noun, verbs(ctx, commands[i].noun));
    }
    printf("        esac\n"
           "        [ ${#words[@]} = 1 ] || list= files=1\n"
           "        ;;\n"
           "    esac\n"
           "    if [[ $word == -* ]]; then\n"
           "        case \"${words[*]:0:2}\" in\n");
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        printf("        '%s%s%s'*) list='%s' ;;\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
               options_of(ctx, c));
    }
    printf("        esac\n"
           "        list=\"$list %s\" files=0\n"
           "    fi\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$list\" -- \"$word\"; [ $files = 0 ] || compgen -f -- "
           "\"$word\")\n"
           "}\n"
           "complete -o filenames -F _millrace millrace\n",
           global_options);
}

static void print_zsh(void *ctx)
{
    puts("#compdef millrace\nautoload -U +X bashcompinit && bashcompinit");
    print_bash(ctx);
}

static void print_fish(void *ctx)
{
    printf("# completion of millrace for fish: millrace completion fish | source\n"
           "complete -c millrace -n __fish_use_subcommand -f -a '%s'\n",
           nouns(ctx));
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        if (c->verb)
            printf("complete -c millrace -n '__fish_seen_subcommand_from %s; and not "
                   "__fish_seen_subcommand_from %s' -f -a %s\n",
                   c->noun, verbs(ctx, c->noun), c->verb);
        char *list = talloc_strdup(ctx, options_of(ctx, c));
        for (char *one; (one = strsep(&list, " ")) != NULL;) {
            if (*one)
                printf("complete -c millrace -n '__fish_seen_subcommand_from %s%s%s' -l %s\n", c->noun,
                       c->verb ? "; and __fish_seen_subcommand_from " : "", c->verb ? c->verb : "", one + 2);
        }
    }
}

int cmd_completion(struct cli *cli, int argc, char **argv)
{
    const char *shell;
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, &shell, 1))
        return CLI_USAGE;
    if (strcmp(shell, "bash") == 0)
        print_bash(cli->ctx);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(cli->ctx);
    else if (strcmp(shell, "fish") == 0)
        print_fish(cli->ctx);
    else
        return cli_usage(cli, "the shell must be bash, zsh or fish, not \"%s\"", shell);
    return CLI_DONE;
}

/* --- manual pages --- */

/* Prints text as troff: no line is a request, and a hyphen is a hyphen that can be copied. */
static void print_troff(const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
        at_start = *text == '\n';
    }
}

static void print_man_section(const char *heading, const char *text)
{
    printf(".SH %s\n", heading);
    print_troff(text);
    putchar('\n');
}

static void print_man_command(const struct command *c)
{
    printf(".TP\n.B millrace %s%s%s\n.br\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
    print_troff(c->arguments);
    fputs(*c->arguments ? "\n.br\n" : "", stdout);
    print_troff(c->help);
    puts(".");
}

static void print_man(const char *noun)
{
    printf(".TH MILLRACE%s%s 1 \"\" \"Millrace %s\" \"Millrace\"\n", noun ? "-" : "", noun ? noun : "",
           MILLRACE_VERSION);
    printf(".SH NAME\nmillrace%s%s \\- %s\n", noun ? "-" : "", noun ? noun : "",
           noun ? "commands of Millrace's operators" : "the command of Millrace's operators");
    print_man_section("SYNOPSIS", "millrace [--config FILE] [--json] COMMAND …");
    puts(".SH COMMANDS");
    for (size_t i = 0; i < commands_n; i++) {
        if (!noun || strcmp(noun, commands[i].noun) == 0)
            print_man_command(&commands[i]);
    }
    print_man_section("NOTES", commands_notes());
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
     "Is started by millrace-executor, which describes the job on a pipe; it is not for other uses."},
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
    print_troff(p->name);
    fputs(" \\- ", stdout);
    print_troff(p->summary);
    printf("\n.SH SYNOPSIS\n.B ");
    print_troff(p->name);
    putchar('\n');
    print_troff(p->synopsis);
    puts(*p->synopsis ? "" : ".PP");
    print_man_section("DESCRIPTION", p->description);
    if (*p->synopsis)
        print_man_section("FILES", "/etc/millrace/millrace.ini: the settings, unless --config names a file; "
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
    if (noun && !program && !commands_have_noun(noun))
        return cli_usage(cli, "there is no command \"%s\"; millrace --help lists the commands", noun);
    if (program)
        print_program_man(program);
    else
        print_man(noun);
    return CLI_DONE;
}
