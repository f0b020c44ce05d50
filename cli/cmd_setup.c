#include <errno.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "cli/commands.h"

/* The script that `make install` puts beside the folder of this program: ../lib/millrace/setup. NULL if the
 * place of the program is unknown. */
static char *setup_path(void *ctx)
{
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return NULL;
    program[n] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(program, '/');
        if (!slash)
            return NULL;
        *slash = '\0';
    }
    return talloc_asprintf(ctx, "%s/lib/millrace/setup", program);
}

int cmd_setup(struct cli *cli, int argc, char **argv)
{
    char *path = setup_path(cli->ctx);
    if (cli->is_batch)
        return cli_usage(cli, "setup cannot be a command of a batch");
    if (!path || access(path, X_OK) != 0)
        return cli_fail(cli,
                        "%s is missing: `millrace setup` works where Millrace was installed by a package "
                        "or by make install",
                        path ? path : "lib/millrace/setup");
    char **args = talloc_zero_array(cli->ctx, char *, (size_t)argc + 2);
    args[0] = path;
    for (int i = 0; i < argc; i++)
        args[i + 1] = argv[i];
    execv(path, args);
    return cli_fail(cli, "%s: %s", path, strerror(errno));
}
