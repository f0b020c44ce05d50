/* What `millrace workspace export` takes along: every table of the schema, and how its rows are of a
 * workspace. A test compares the list with information_schema, so that a new table cannot be forgotten. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "base/span.h"
#include "mariadb/db.h"
#include "secret/seal.h"

struct workspace_table {
    const char *name;
    /* SQL with "?" for the workspace's id; NULL: the table stays. */
    const char *where;
    /* Why it stays. */
    const char *reason;
    /* The cell removes rows of a certain age by itself, also of a workspace that is being imported. */
    bool ages;
};
/* In the order of the import: the frozen account comes first, what is due by itself last. Ends with {0}. */
extern const struct workspace_table workspace_tables[];

/* The keys by which sealed columns are opened and sealed again. */
struct seal_keys {
    /* secrets.key_file and webhooks.key_file of the cell, and the key of the transfer */
    uint8_t secrets[SECRET_KEY_SIZE], webhooks[SECRET_KEY_SIZE], transfer[SECRET_KEY_SIZE];
    bool has_secrets, has_webhooks;
};
/* Opens the sealed cells of a row and seals them by another key: by the transfer's if `to_transfer`, else by
 * the cell's. So are sealed responses (webhook/sealed_response.h). `columns` as of db_copy_columns; new cells
 * are of ctx. ERR_DENIED: they cannot be opened, or the cell has no key for them. Does nothing for tables
 * without sealed columns. */
enum err workspace_reseal(void *ctx, const struct seal_keys *keys, bool to_transfer, const id *workspace,
                          const char *table, const char *columns, struct span *cells) WARN_UNUSED;
/* The column of a table that names bytes by their SHA-256 (blob/blob_rows.h); "": it has none. */
const char *workspace_hash_column(const char *table);
/* The place of a column in `columns`; -1: it is not there. */
int workspace_column(const char *columns, const char *name);
