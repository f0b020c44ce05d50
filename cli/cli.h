/* What the commands of `millrace` share: arguments, settings, connections and output. A command builds one
 * JSON value and prints it: as JSON with --json, otherwise as columns or lines. Everything is owned by
 * cli->ctx, which is freed after the command. Exit codes: 0 success, 1 failure, 2 usage error. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "command/options.h"
#include "command/reference.h"
#include "mariadb/db.h"
#include "redis/redis.h"
#include "json/json.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct command;
struct cli {
    void *ctx;
    bool json;
    /* one of several commands of `millrace batch`: errors are printed on standard output, like results */
    bool is_batch;
    const char *config_path;
    const struct command *command;
    struct config *config;
    struct db *db;
    struct redis *redis;
};

/* A command: "noun verb", or only a noun (verb NULL). */
struct command {
    const char *noun, *verb;
    /* gets the arguments after the noun and the verb */
    int (*run)(struct cli *cli, int argc, char **argv);
    /* printed in the usage line */
    const char *arguments;
    const char *help;
    /* what it records in the audit log (lib/deed/deed.h); NULL: it changes nothing that others see */
    const char *deed;
};

/* --- arguments --- */
/* Parses options, in any order, and exactly `rest_n` other arguments. False after an error message: the
 * command returns CLI_USAGE. */
bool cli_parse(struct cli *cli, int argc, char **argv, const struct cli_option *options, const char **rest_r,
               size_t rest_n) WARN_UNUSED;
/* Parse the text of an option. False after an error message. */
bool cli_id(struct cli *cli, const char *option, const char *text, id *id_r) WARN_UNUSED;
bool cli_number(struct cli *cli, const char *option, const char *text, int64_t min, int64_t max,
                int64_t *number_r) WARN_UNUSED;
bool cli_credits(struct cli *cli, const char *option, const char *text, int64_t min_micro,
                 int64_t *micro_r) WARN_UNUSED;
/* The price of a run: 0 to PRICE_TOTAL_MAX (spending/price_list.h), as price lists have it, too. */
bool cli_price(struct cli *cli, const char *option, const char *text, int64_t *micro_r) WARN_UNUSED;

/* --- settings and connections --- */
/* Reads the settings. False after an error message: the command returns CLI_FAILED. */
bool cli_configure(struct cli *cli) WARN_UNUSED;
/* Reads the settings and opens MariaDB as the administrators' user, and Redis, unless they are open. A
 * statement may take `timeout_s` seconds. False after an error message. */
bool cli_open(struct cli *cli, unsigned timeout_s) WARN_UNUSED;

/* --- output --- */
int cli_usage(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3); /* returns CLI_USAGE */
int cli_fail(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);  /* returns CLI_FAILED */
/* Prints the message of an error that has no more specific text. `what` is the operation that failed. Returns
 * CLI_FAILED. */
int cli_fail_err(struct cli *cli, enum err e, const char *what);
/* Prints an object, or an array of objects (as a table), and releases it. Returns CLI_DONE. */
int cli_print(struct cli *cli, json_object *value);
/* With --json as cli_print; otherwise prints only `line`. Returns CLI_DONE. */
int cli_print_line(struct cli *cli, json_object *value, const char *line);

/* --- JSON members --- */
void cli_add_text(json_object *object, const char *name, const char *text); /* text NULL: null */
void cli_add_bytes(json_object *object, const char *name, const struct db_cell *cell);
void cli_add_number(json_object *object, const char *name, int64_t number);
void cli_add_time(json_object *object, const char *name, int64_t ms, bool is_set);
void cli_add_credits(json_object *object, const char *name, int64_t micro);
