#include "cli/commands.h"
#include "mariadb/migrate.h"

enum { WAIT_S = 60, STATEMENT_S = 3600 };

int cmd_migrate(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    struct migration *list;
    size_t count;
    const char *why;
    if (migrate(cli->db, cli->ctx, WAIT_S, &list, &count, &why) != OK)
        return cli_fail(cli, "%s", why);
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < count; i++) {
        json_object *row = json_object_new_object();
        cli_add_number(row, "number", list[i].number);
        cli_add_text(row, "name", list[i].name);
        cli_add_time(row, "applied_at", list[i].applied_ms, true);
        json_object_object_add(row, "new", json_object_new_boolean(list[i].is_new));
        json_object_array_add(rows, row);
    }
    return cli_print(cli, rows);
}
