/* What `millrace doctor` finds wrong with a host and its servers. The facts are gathered first (facts.h); the
 * checks, one row each of the table in checks.c, are pure functions of them. A check passes if it has no fact
 * to judge, as while MariaDB is unreachable. Everything belongs to the ctx that is passed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

/* A directory or a file that the settings name. */
struct doctor_path {
    /* "files.dir" */
    const char *setting;
    const char *path;
    /* a password or a key: no stranger may read it */
    bool is_secret;
    /* a directory of several users: needs the setgid bit */
    bool is_shared;
    /* 0, or the errno of stat() or of the access that the program needs */
    int problem;
    unsigned mode;
    /* of the file system; total 0: unknown */
    int64_t free_bytes, total_bytes, free_files, total_files;
};

struct doctor_certificate {
    const char *path;
    /* whole seconds until it expires, below 0 afterwards; meaningless if it cannot be read */
    int64_t left_s;
    bool is_readable;
};

/* What the user of a program lacks of the rights that sql/grants.sql gives it. */
struct doctor_rights {
    /* "api" */
    const char *program;
    /* as the settings name it */
    const char *user;
    /* NULL: nothing */
    const char *missing;
};

/* "mariadb.max_connections" = "151": all values are texts, as the servers and the kernel give them. */
struct doctor_value {
    const char *name, *value;
};

struct doctor_facts {
    const struct config *config;
    /* the servers were asked: false in the quick form */
    bool asked_servers;
    bool mariadb_answers, redis_answers;
    struct doctor_value *values;
    size_t values_n;
    struct doctor_path *paths;
    size_t paths_n;
    struct doctor_certificate *certificates;
    size_t certificates_n;
    /* of the programs whose users could sign in */
    struct doctor_rights *rights;
    size_t rights_n;
    /* newest migrations; NULL: unknown, or none */
    const char *schema, *schema_of_build;
    /* prepared statements that one connection may need */
    int64_t statements;
    /* the clock of the server minus that of this host */
    int64_t mariadb_ahead_ms, redis_ahead_ms;
    bool knows_executors;
    int64_t executors_alive, executors_lost;
    /* the first line of what `nginx -t` complains about; NULL: nothing, or it was not run */
    const char *nginx_problem;
};

enum doctor_level { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_ERROR };

struct doctor_finding {
    /* of the row, as in "mariadb.durability" */
    const char *check;
    enum doctor_level level;
    /* what was found; NULL if the level is DOCTOR_OK */
    const char *found;
    /* what to do */
    const char *advice;
};

/* Judges all rows: one finding for each, in the order of the table. Returns their number. */
size_t doctor_judge(void *ctx, const struct doctor_facts *facts, struct doctor_finding **findings_r);
/* The value of a fact, or NULL if it is unknown. */
const char *doctor_value(const struct doctor_facts *facts, const char *name);
/* Adds a fact. `value` NULL adds nothing. */
void doctor_add_value(void *ctx, struct doctor_facts *facts, const char *name, const char *value);
