#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "secret/secrets.h"

enum { STATEMENT_S = 10 };

/* Reads the value from a file or standard input, and removes one line end at its end, which editors and echo
 * append. The value is never taken from the command line, which every user of the machine can read. */
static bool read_value(struct cli *cli, const char *path, char **value_r, size_t *size_r)
{
    enum { ROOM = SECRET_VALUE_MAX + 3 };
    FILE *f = path ? fopen(path, "re") : stdin;
    if (!f) {
        cli_fail(cli, "cannot read %s", path);
        return false;
    }
    char *value = talloc_size(cli->ctx, ROOM);
    size_t size = fread(value, 1, ROOM, f);
    bool ok = !ferror(f);
    if (path)
        fclose(f);
    if (size > 0 && value[size - 1] == '\n')
        size--;
    if (size > 0 && value[size - 1] == '\r')
        size--;
    if (!ok || !secret_value_fits(value, size)) {
        cli_fail(cli, "a secret must be UTF-8 text of %d to %d bytes, from standard input or --value-file",
                 SECRET_VALUE_MIN, SECRET_VALUE_MAX);
        return false;
    }
    *value_r = value;
    *size_r = size;
    return true;
}

static int print_secret_change(struct cli *cli, const char *name, const char *what, const char *warning)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "name", name);
    json_object_object_add(o, what, json_object_new_boolean(true));
    if (warning)
        cli_add_text(o, "warning", warning);
    return cli_print_line(cli, o, what);
}

int cmd_secret_set(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL, *path = NULL, *name, *why;
    const struct cli_option options[] = {
        {"workspace", .text_r = &text}, {"value-file", .text_r = &path}, {0}};
    id workspace;
    uint8_t key[SECRET_KEY_SIZE];
    char *value;
    size_t size;
    if (!cli_parse(cli, argc, argv, options, &name, 1))
        return CLI_USAGE;
    if (!secret_name_fits(name))
        return cli_usage(cli, "NAME must be 1 to %d characters of A-Z a-z 0-9 _ - .", SECRET_NAME_MAX);
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code != CLI_DONE)
        return code;
    if (!read_value(cli, path, &value, &size))
        return CLI_FAILED;
    if (secrets_load_key(cli->config->secrets.key_file, key, &why) != OK)
        return cli_fail(cli, "the key file %s %s", cli->config->secrets.key_file, why);
    enum err e = secret_set(cli->db, key, &workspace, name, value, size);
    const char *warning = secret_value_warning(value, size);
    sodium_memzero(key, sizeof key);
    sodium_memzero(value, size);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "workspace not found: %s", workspace.text);
    if (e == OK && warning)
        fprintf(stderr, "warning: %s\n", warning);
    return e == OK ? print_secret_change(cli, name, "set", warning)
                   : cli_fail_err(cli, e, "storing the secret");
}

int cmd_secret_list(struct cli *cli, int argc, char **argv)
{
    id workspace;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    struct secret *list;
    size_t n;
    enum err e = secrets_list(cli->db, cli->ctx, NULL, &workspace, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing secrets");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        json_object *row = json_object_new_object();
        cli_add_text(row, "name", list[i].name);
        cli_add_time(row, "updated_at", list[i].updated_ms, true);
        json_object_array_add(rows, row);
    }
    return cli_print(cli, rows);
}

int cmd_secret_delete(struct cli *cli, int argc, char **argv)
{
    const char *name;
    id workspace;
    int code = cli_begin(cli, argc, argv, NULL, &name, 1, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = secret_delete(cli->db, &workspace, name);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "secret not found in this workspace: %s", name);
    return e == OK ? print_secret_change(cli, name, "deleted", NULL)
                   : cli_fail_err(cli, e, "deleting the secret");
}

int cmd_secret_keygen(struct cli *cli, int argc, char **argv)
{
    const char *path;
    const struct cli_option options[] = {{0}};
    if (!cli_parse(cli, argc, argv, options, &path, 1))
        return CLI_USAGE;
    enum err e = secrets_make_key(path);
    if (e == ERR_CONFLICT)
        return cli_fail(
            cli, "%s already exists; overwriting a key file would make the secrets sealed with it unreadable",
            path);
    if (e != OK)
        return cli_fail(cli, "cannot write %s", path);
    json_object *o = json_object_new_object();
    cli_add_text(o, "key_file", path);
    return cli_print_line(cli, o, path);
}
