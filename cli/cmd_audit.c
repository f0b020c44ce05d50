#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "cli/audit_report.h"
#include "cli/commands.h"

enum { STATEMENT_S = 600, GRACE_S = 30, GRACE_MAX_S = 86400, CONNECTIONS = 2 };

bool audit_read_ids(struct cli *cli, const char *path, id **ids_r, size_t *n_r)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char line[128];
    id *ids = NULL;
    size_t n = 0;
    bool ok = f != NULL;
    while (ok && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (!*line)
            continue;
        if (n == talloc_array_length(ids))
            ids = talloc_realloc(cli->ctx, ids, id, 2 * n + 1024);
        ok = id_parse(line, strlen(line), &ids[n++]);
    }
    if (f && f != stdin)
        fclose(f);
    if (!ok)
        cli_fail(cli, "%s: %s", path, f ? "contains a line that is not an id" : "cannot be read");
    *ids_r = ids;
    *n_r = n;
    return ok;
}

static json_object *checks_json(const struct audit *a)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < a->checks_n; i++) {
        const struct audit_check *c = &a->checks[i];
        json_object *o = json_object_new_object();
        cli_add_number(o, "invariant", c->invariant);
        cli_add_text(o, "check", c->name);
        cli_add_number(o, "violations", (int64_t)c->violations);
        cli_add_number(o, "took_ms", c->took_ms);
        cli_add_text(o, "promise", c->promise);
        json_object_array_add(list, o);
    }
    return list;
}

json_object *audit_violations_json(const struct audit *a)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < a->violations_n; i++) {
        const struct audit_violation *v = &a->violations[i];
        json_object *o = json_object_new_object();
        cli_add_number(o, "invariant", v->invariant);
        cli_add_text(o, "check", v->check);
        cli_add_text(o, "id", v->id);
        cli_add_text(o, "detail", v->detail);
        json_object_array_add(list, o);
    }
    return list;
}

int cmd_audit(struct cli *cli, int argc, char **argv)
{
    const char *path = NULL, *grace_text = NULL, *connections_text = NULL;
    struct audit_options o = {0};
    const struct cli_option options[] = {{"at-rest", .flag_r = &o.at_rest},
                                         {"acknowledged", .text_r = &path},
                                         {"grace-seconds", .text_r = &grace_text},
                                         {"connections", .text_r = &connections_text},
                                         {0}};
    int64_t grace_s = GRACE_S, connections = CONNECTIONS;
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (grace_text && !cli_number(cli, "--grace-seconds", grace_text, 0, GRACE_MAX_S, &grace_s)) ||
        (connections_text &&
         !cli_number(cli, "--connections", connections_text, 1, AUDIT_CONNECTIONS_MAX, &connections)))
        return CLI_USAGE;
    id *ids = NULL;
    if ((path && !audit_read_ids(cli, path, &ids, &o.acknowledged_n)) || !cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    o.acknowledged = ids;
    o.connections = (unsigned)connections;
    o.deadline_before_ms = clock_wall_ms() - grace_s * 1000;
    o.run_dir = cli->config->executor.run_dir;
    o.runner_socket = cli->config->executor.runner_socket;
    o.config = cli->config;
    struct audit *a;
    enum err e = audit_run(cli->db, cli->redis, cli->ctx, &o, &a);
    if (e != OK)
        return cli_fail_err(cli, e, "the audit");
    json_object *result = json_object_new_object();
    json_object_object_add(result, "ok", json_object_new_boolean(a->violations_n == 0));
    json_object_object_add(result, "checks", checks_json(a));
    json_object_object_add(result, "violations", audit_violations_json(a));
    cli_print(cli, result);
    return a->violations_n == 0 ? CLI_DONE : CLI_FAILED;
}
