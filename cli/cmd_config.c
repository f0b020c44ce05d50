#include "base/origins.h"
#include "cli/commands.h"

int cmd_config(struct cli *cli, int argc, char **argv)
{
    bool dump = false, defaults = false, origins = false;
    const struct cli_option options[] = {{"dump", .flag_r = &dump},
                                         {"defaults", .flag_r = &defaults},
                                         {"nginx-origins", .flag_r = &origins},
                                         {0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (dump == origins)
        return cli_usage(cli,
                         dump ? "--dump and --nginx-origins exclude each other" : "missing option --dump");
    if (!defaults && !cli_configure(cli))
        return CLI_FAILED;
    if (origins)
        origins_write_nginx(stdout, defaults ? "" : cli->config->api.cors_origins);
    else
        config_dump(stdout, defaults ? NULL : cli->config);
    return CLI_DONE;
}
