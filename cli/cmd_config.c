#include "cli/commands.h"

int cmd_config(struct cli *cli, int argc, char **argv)
{
    bool dump = false, defaults = false;
    const struct cli_option options[] = {{"dump", .flag_r = &dump}, {"defaults", .flag_r = &defaults}, {0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!dump)
        return cli_usage(cli, "missing option --dump");
    if (!defaults && !cli_configure(cli))
        return CLI_FAILED;
    config_dump(stdout, defaults ? NULL : cli->config);
    return CLI_DONE;
}
