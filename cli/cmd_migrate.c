#include <talloc.h>

#include "cli/commands.h"
#include "deed/deed.h"
#include "mariadb/migrate.h"

enum { WAIT_S = 60, WAIT_MAX_S = 86400, STATEMENT_S = 3600 };

struct migrations_done {
    const struct migration *list;
    size_t count;
};

/* MariaDB commits a change of the schema at once. The row that records it is written by the next transaction.
 */
static enum err record_migrations(struct db_tx *tx, void *arg)
{
    const struct migrations_done *m = arg;
    char *numbers = NULL;
    for (size_t i = 0; i < m->count; i++) {
        if (m->list[i].is_new)
            numbers = talloc_asprintf_append_buffer(numbers ? numbers : talloc_strdup(tx->ctx, ""), "%s%lld",
                                                    numbers ? " " : "", (long long)m->list[i].number);
    }
    const struct deed_detail detail[] = {{"migrations", numbers}, {0}};
    return numbers ? deed_record(tx, "database.migrate", NULL, "", detail) : OK;
}

int cmd_migrate(struct cli *cli, int argc, char **argv)
{
    const char *wait = NULL;
    int64_t wait_s = WAIT_S;
    bool is_stopped = false;
    const struct cli_option options[] = {
        {.name = "wait", .text_r = &wait}, {.name = "stop", .flag_r = &is_stopped}, {0}};
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (wait && !cli_number(cli, "wait", wait, 0, WAIT_MAX_S, &wait_s))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    const struct migrate_options how = {.wait_s = (int)wait_s, .programs_stopped = is_stopped};
    struct migration *list;
    size_t count;
    const char *why;
    if (migrate(cli->db, cli->ctx, &how, &list, &count, &why) != OK)
        return cli_fail(cli, "%s", why);
    struct migrations_done done = {list, count};
    enum err e = db_transaction(cli->db, record_migrations, &done);
    if (e != OK)
        return cli_fail_err(cli, e, "recording the migrations in the audit log");
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
