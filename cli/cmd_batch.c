#include <stdio.h>
#include <stdlib.h>
#include <talloc.h>
#include <unistd.h>

#include "cli/commands.h"

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
        words ? commands_run(&cli, count, words) : cli_usage(&cli, "a line must be a JSON array of strings");
    talloc_free(cli.ctx);
    return code;
}

int cmd_batch(struct cli *cli, int argc, char **argv)
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
