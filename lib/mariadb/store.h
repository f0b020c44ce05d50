/* What the store_ modules share. */
#pragma once

#include "mariadb/db.h"

/* A read outside of any transaction: repeated once where the connection turned out to be lost, as it is after
 * the server was restarted. */
enum err store_read(struct db *db, void *ctx, enum sql_id query, const struct db_value *args, size_t args_n,
                    struct db_rows **rows_r) WARN_UNUSED;
/* The same with a list (see db_run_each). */
enum err store_read_each(struct db *db, void *ctx, enum sql_id query, const struct db_value *head,
                         size_t head_n, const struct db_value *each, size_t each_n, size_t count,
                         struct db_rows **rows_r) WARN_UNUSED;
/* Whether MariaDB answers. */
enum err store_ping(struct db *db) WARN_UNUSED;
