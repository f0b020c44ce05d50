/* What the commands that move a workspace to another cell share (docs/scaling.md, "Moving a workspace"). */
#pragma once

#include "cli/cli.h"
#include "cli/workspace_tables.h"
#include "deed/deed.h"
#include "store/workspace.h"

enum {
    MOVE_STATEMENT_S = 3600,
    /* Of a part of a blob. */
    MOVE_PART = 256 * 1024,
};

/* A frozen workspace as one command has left it. While it is frozen, `touched` of its account grows only when
 * a command that moves it takes it over, so that a command that hung in the meantime changes nothing more.
 * An import gives the account a random one, so that no command that worked on an earlier copy takes it for
 * its own. */
struct workspace_fence {
    id workspace;
    enum frozen frozen;
    int64_t touched;
};
/* Locks the account in the transaction, and says what it is. ERR_NOT_FOUND: the workspace has no account. */
enum err workspace_lock_frozen(struct db_tx *tx, const id *workspace,
                               struct workspace_fence *fence_r) WARN_UNUSED;
/* Takes over a workspace that is locked in this transaction and is as `fence` says: from now on it is
 * `frozen`, and others have lost it. */
enum err workspace_take(struct db_tx *tx, struct workspace_fence *fence, enum frozen frozen) WARN_UNUSED;
/* What each transaction of the command begins with; `fence`: struct workspace_fence. Locks the account.
 * ERR_CONFLICT: another command has taken it over. */
enum err workspace_check_fence(struct db_tx *tx, void *fence) WARN_UNUSED;
/* Opens a workspace that is frozen as `frozen` says, and as the fence says if there is one, and records the
 * deed. ERR_NOT_FOUND: it is not. */
struct workspace_opening {
    id workspace;
    enum frozen frozen;
    /* NULL: any */
    const struct workspace_fence *fence;
    const char *deed;
    const struct deed_detail *detail;
};
enum err workspace_open(struct db *db, const struct workspace_opening *opening) WARN_UNUSED;
/* The number of the newest migration. */
enum err workspace_schema(struct db *db, void *ctx, int64_t *number_r) WARN_UNUSED;
/* How many rows of the workspace's ledger a destination of the usage push lacks. */
enum err workspace_count_unsent(struct db *db, void *ctx, const id *workspace, int64_t *n_r) WARN_UNUSED;
/* Removes all rows of a frozen workspace, its account last, but for its tenant: in many transactions, each of
 * which checks the fence, and it may be repeated. *n_r: how many. ERR_CONFLICT as of workspace_check_fence.
 */
enum err workspace_remove_rows(struct db *db, struct workspace_fence *fence, int64_t *n_r) WARN_UNUSED;
/* Reads the keys of the settings that are set, and that of the transfer; `makes`: the latter is made if there
 * is no file. False after an error message. Wipe them after use. */
bool workspace_load_keys(struct cli *cli, const char *transfer_path, bool makes,
                         struct seal_keys *keys_r) WARN_UNUSED;
