#include "cli/execution_find.h"

enum { STATEMENT_S = 30 };

bool cli_find_execution(struct cli *cli, const char *text, struct run_progress *progress_r, int *code_r)
{
    id execution;
    struct run_progress *list;
    size_t n;
    *code_r = CLI_USAGE;
    if (!cli_id(cli, "ID", text, &execution))
        return false;
    *code_r = CLI_FAILED;
    if (!cli_open(cli, STATEMENT_S))
        return false;
    enum err e = execution_progress_list(cli->db, cli->ctx, &execution, 1, &list, &n);
    if (e != OK)
        cli_fail_err(cli, e, "finding the execution");
    else if (n == 0)
        cli_fail(cli, "execution not found: %s", execution.text);
    else
        *progress_r = list[0];
    return e == OK && n > 0;
}
