/* The rights of a user of MariaDB, read from the lines of SHOW GRANTS, and what they lack. */
#pragma once

#include <stddef.h>

#include "doctor/grants.h"

struct right {
    /* "SELECT", "ALL PRIVILEGES" */
    const char *name;
    /* NULL: every table of the database */
    const char *table;
    /* NULL: every column */
    const char *column;
};
struct rights {
    struct right *list;
    size_t n;
};

/* Adds what a line such as "GRANT SELECT, UPDATE (`a`) ON `millrace`.`t` TO `u`@`localhost`" allows in
 * `database`. Other lines add nothing. */
void rights_add(void *ctx, struct rights *rights, const char *line, const char *database);
/* What the rows of `program` have and `have` lacks, as in `INSERT on t, UPDATE (a) on u`, the first few of
 * many. NULL: nothing. The rights of a table or of the database include those of its columns. */
char *rights_missing(void *ctx, const struct rights *have, const char *program, const struct grant_row *rows,
                     size_t rows_n);
