/* What the commands of `millrace` share: arguments, settings, connections, and how they speak. A command
 * builds one JSON value and prints it: as JSON with --json, else as columns for people. Everything is of
 * cli->ctx and goes with the command. Exit codes: 0 done, 1 failed, 2 called wrongly. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "mariadb/db.h"
#include "redis/redis.h"
#include "json/json.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct command;
struct cli {
    void *ctx;
    bool json;
    bool is_batch; /* one of many commands: failures are told where answers are, on standard output */
    const char *config_path;
    const struct command *command;
    struct config *config;
    struct db *db;
    struct redis *redis;
};

/* A command: "noun verb", or a noun alone (verb NULL). */
struct command {
    const char *noun, *verb;
    int (*run)(struct cli *cli, int argc, char **argv); /* of the arguments behind the command's words */
    const char *arguments;                              /* for the usage line */
    const char *help;
};

/* --- arguments --- */
struct cli_option { /* a list ends with {0} */
    const char *name;
    const char **text_r; /* --name TEXT or --name=TEXT; NULL: a flag */
    bool *flag_r;
    bool required;
};
/* Takes options in any order and exactly `rest_n` other arguments. False after having complained: the command
 * returns CLI_USAGE. */
bool cli_parse(struct cli *cli, int argc, char **argv, const struct cli_option *options, const char **rest_r,
               size_t rest_n) WARN_UNUSED;
/* The texts of options as what they mean; false after having complained. */
bool cli_id(struct cli *cli, const char *option, const char *text, id *id_r) WARN_UNUSED;
bool cli_number(struct cli *cli, const char *option, const char *text, int64_t min, int64_t max,
                int64_t *number_r) WARN_UNUSED;
bool cli_credits(struct cli *cli, const char *option, const char *text, int64_t min_micro,
                 int64_t *micro_r) WARN_UNUSED;

/* --- settings and connections --- */
/* Reads the settings. False after having complained: the command returns CLI_FAILED. */
bool cli_configure(struct cli *cli) WARN_UNUSED;
/* The same, and opens MariaDB as the administrators' user, and Redis, unless they are open. A statement may
 * take `timeout_s`. */
bool cli_open(struct cli *cli, unsigned timeout_s) WARN_UNUSED;

/* --- speaking --- */
int cli_usage(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3); /* returns CLI_USAGE */
int cli_fail(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);  /* returns CLI_FAILED */
/* The sentence of an error where nothing more precise is known; `what` is what was tried. */
int cli_fail_err(struct cli *cli, enum err e, const char *what);
/* Prints an object, or an array of objects (as a table), and gives its reference away. Returns CLI_DONE. */
int cli_print(struct cli *cli, json_object *value);
/* The same with --json; otherwise only `line`. */
int cli_print_line(struct cli *cli, json_object *value, const char *line);

/* --- building what is printed --- */
void cli_add_text(json_object *object, const char *name, const char *text); /* NULL: null */
void cli_add_bytes(json_object *object, const char *name, const struct db_cell *cell);
void cli_add_number(json_object *object, const char *name, int64_t number);
void cli_add_time(json_object *object, const char *name, int64_t ms, bool is_set);
void cli_add_credits(json_object *object, const char *name, int64_t micro);
