/* millrace: the command of the operators. */
#include <stdio.h>
#include <talloc.h>

#include "base/log.h"
#include "cli/commands.h"
#include "run/run_counts.h"
#include "service/main_init.h"

int main(int argc, char **argv)
{
    forbid_core_dumps();
    if (log_open("millrace", NULL, LOG_LEVEL_WARN) != OK)
        return CLI_FAILED;
    struct cli cli = {.ctx = talloc_new(NULL)};
    int code = commands_run(&cli, argc - 1, argv + 1);
    if (cli.db)
        run_counts_flush(cli.db);
    talloc_free(cli.ctx);
    if (fflush(stdout) != 0)
        code = CLI_FAILED;
    return code;
}
