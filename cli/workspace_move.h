/* What the commands that move a workspace to another cell share (docs/scaling.md, "Moving a workspace"). */
#pragma once

#include "cli/cli.h"
#include "cli/workspace_tables.h"
#include "store/workspace.h"

enum {
    MOVE_STATEMENT_S = 3600,
    /* Of a part of a blob. */
    MOVE_PART = 256 * 1024,
};

/* Locks the account in the transaction. ERR_NOT_FOUND: the workspace has no account. */
enum err workspace_lock_frozen(struct db_tx *tx, const id *workspace, enum frozen *frozen_r) WARN_UNUSED;
/* The number of the newest migration. */
enum err workspace_schema(struct db *db, void *ctx, int64_t *number_r) WARN_UNUSED;
/* How many rows of the workspace's ledger a destination of the usage push lacks. */
enum err workspace_count_unsent(struct db *db, void *ctx, const id *workspace, int64_t *n_r) WARN_UNUSED;
/* Removes all rows of a frozen workspace, its account last, but for its tenant: each statement commits by
 * itself, and it may be repeated. *n_r: how many. */
enum err workspace_remove_rows(struct db *db, const id *workspace, int64_t *n_r) WARN_UNUSED;
/* Reads the keys of the settings that are set, and that of the transfer; `makes`: the latter is made if there
 * is no file. False after an error message. Wipe them after use. */
bool workspace_load_keys(struct cli *cli, const char *transfer_path, bool makes,
                         struct seal_keys *keys_r) WARN_UNUSED;
