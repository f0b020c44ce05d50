/* Binary logs of MariaDB, named "bin.000003". Functions return NULL, or a sentence of ctx that says what
 * failed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The paths of the logs in a folder, from the one named `first` to the last, an array of ctx. A gap is an
 * error. */
const char *binlog_list(void *ctx, const char *dir, const char *first, const char ***paths_r, size_t *n_r);

/* A log that its server has not closed, because it writes it or was killed, is marked as in use, and
 * mariadb-binlog ends silently at damage in it. Copies such a log to `to`, without the mark. *copied_r false:
 * it has no mark, and nothing was done. */
const char *binlog_copy_open(void *ctx, const char *path, const char *to, bool *copied_r);
