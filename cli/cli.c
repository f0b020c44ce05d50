#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "base/log.h"
#include "command/table.h"
#include "redis/keys.h"
#include "spending/price_list.h"

/* --- output --- */

PRINTF_LIKE(2, 0)
static void print_error(struct cli *cli, const char *format, va_list args)
{
    char *text = talloc_vasprintf(cli->ctx, format, args);
    if (!cli->json) {
        fprintf(stderr, "millrace: %s\n", printable_text(cli->ctx, text, strlen(text)));
        return;
    }
    json_object *o = json_object_new_object();
    cli_add_text(o, "error", text);
    fprintf(cli->is_batch ? stdout : stderr, "%s\n", json_text(o, NULL));
    json_object_put(o);
}

int cli_usage(struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(cli, format, args);
    va_end(args);
    const struct command *c = cli->command;
    if (!cli->json && c)
        fprintf(stderr, "usage: millrace %s%s%s %s\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
                c->arguments);
    return CLI_USAGE;
}

int cli_fail(struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_error(cli, format, args);
    va_end(args);
    return CLI_FAILED;
}

int cli_fail_err(struct cli *cli, enum err e, const char *what)
{
    switch (e) {
    case ERR_UNAVAILABLE:
        return cli_fail(cli, "%s: MariaDB is unreachable; nothing was changed", what);
    case ERR_FROZEN:
        return cli_fail(
            cli, "%s: the workspace is being moved to another cell, or was moved there; nothing was changed",
            what);
    case ERR_RETRY:
        return cli_fail(cli, "%s: MariaDB is busy; nothing was changed; try again", what);
    case ERR_UNCERTAIN:
        return cli_fail(
            cli, "%s: the connection to MariaDB broke during the commit; check whether the change was made",
            what);
    case ERR_NOT_FOUND:
        return cli_fail(cli, "%s: not found", what);
    default:
        return cli_fail(cli, "%s: %s", what, err_name(e));
    }
}

int cli_print(struct cli *cli, json_object *value)
{
    json_own(cli->ctx, value);
    if (cli->json)
        puts(json_text(value, NULL));
    else if (json_object_is_type(value, json_type_array))
        table_print(cli->ctx, value, terminal_columns());
    else
        table_print_object(cli->ctx, value, terminal_columns());
    return CLI_DONE;
}

int cli_print_line(struct cli *cli, json_object *value, const char *line)
{
    if (cli->json)
        return cli_print(cli, value);
    json_own(cli->ctx, value);
    puts(printable_text(cli->ctx, line, strlen(line)));
    return CLI_DONE;
}

/* --- JSON members --- */

void cli_add_text(json_object *object, const char *name, const char *text)
{
    json_object_object_add(object, name, text ? json_object_new_string(text) : NULL);
}

void cli_add_bytes(json_object *object, const char *name, const struct db_cell *cell)
{
    json_object *text = cell->is_null ? NULL : json_object_new_string_len(cell->text, (int)cell->size);
    json_object_object_add(object, name, text);
}

void cli_add_number(json_object *object, const char *name, int64_t number)
{
    json_object_object_add(object, name, json_object_new_int64(number));
}

void cli_add_time(json_object *object, const char *name, int64_t ms, bool is_set)
{
    char text[CLOCK_TEXT_SIZE];
    cli_add_text(object, name, is_set ? clock_text_offset(ms, text) : NULL);
}

void cli_add_credits(json_object *object, const char *name, int64_t micro)
{
    json_object_object_add(object, name, credits_json(micro));
}

/* --- arguments --- */

bool cli_parse(struct cli *cli, int argc, char **argv, const struct cli_option *options, const char **rest_r,
               size_t rest_n)
{
    size_t n;
    const char *why = command_parse(cli->ctx, argc, argv, options, rest_r, rest_n, rest_n, &n);
    if (why)
        cli_usage(cli, "%s", why);
    return !why;
}

bool cli_id(struct cli *cli, const char *option, const char *text, id *id_r)
{
    if (id_parse(text, strlen(text), id_r))
        return true;
    cli_usage(cli, "%s must be an id (UUID), not \"%s\"", option, text);
    return false;
}

bool cli_number(struct cli *cli, const char *option, const char *text, int64_t min, int64_t max,
                int64_t *number_r)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    *number_r = number;
    if (*text && !*end && number >= min && number <= max)
        return true;
    cli_usage(cli, "%s must be an integer from %lld to %lld, not \"%s\"", option, (long long)min,
              (long long)max, text);
    return false;
}

bool cli_credits(struct cli *cli, const char *option, const char *text, int64_t min_micro, int64_t *micro_r)
{
    if (credits_parse(text, micro_r) && *micro_r >= min_micro)
        return true;
    cli_usage(cli, "%s must be a number of credits with at most six decimals, not \"%s\"", option, text);
    return false;
}

bool cli_price(struct cli *cli, const char *option, const char *text, int64_t *micro_r)
{
    if (!cli_credits(cli, option, text, 0, micro_r))
        return false;
    if (*micro_r <= PRICE_TOTAL_MAX)
        return true;
    cli_usage(cli, "%s must be a number of credits of at most 1,000,000,000, not \"%s\"", option, text);
    return false;
}

/* --- settings and connections --- */

bool cli_configure(struct cli *cli)
{
    if (cli->config)
        return true;
    const char *path = cli->config_path ? cli->config_path : config_find();
    const char *why;
    if (config_load(cli->ctx, path, &cli->config, &why) == OK) {
        log_set_format(cli->config->log.format);
        return true;
    }
    cli_fail(cli, "%s", why);
    return false;
}

bool cli_open(struct cli *cli, unsigned timeout_s)
{
    if (cli->db)
        return true;
    if (!cli_configure(cli))
        return false;
    const struct config *c = cli->config;
    const char *password = config_password(cli->ctx, c->admin.db_password_file);
    if (!password) {
        cli_fail(cli, "cannot read the password file %s", c->admin.db_password_file);
        return false;
    }
    const struct db_settings settings = {
        .socket = c->database.socket,
        .name = c->database.name,
        .user = c->admin.db_user,
        .password = password,
        .timeout_s = timeout_s,
        .settle_s = (unsigned)c->database.settle_s,
        .repeats_lock_waits = true,
    };
    cli->db = db_new(cli->ctx, &settings);
    if (db_ping(cli->db) != OK) {
        cli_fail(cli, "cannot connect to MariaDB at %s as %s", c->database.socket, c->admin.db_user);
        return false;
    }
    redis_keys_set_prefix(c->redis.prefix);
    cli->redis = redis_new(cli->ctx, c->redis.socket);
    return true;
}
