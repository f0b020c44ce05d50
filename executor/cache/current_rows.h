/* What was last read of the current versions of workflows and skills, so that the children of one step do not
 * read the same row each time. Only for a caller that accepts a run with the row's catalog version: accepting
 * compares that number with the account's under its lock, and looks at the version and the price again if the
 * two differ (lib/run/accept.c). A run with a row that is outdated is RUN_RESPONDER_CHANGED; then forget the
 * row and read it anew.
 *
 * A row is used for CURRENT_ROW_MS after it was read. The limit bounds the effect of a change that does not
 * raise the number (a price that an operator's older program sets, a database that was restored), and the
 * additional look at versions after a change of another workflow or skill of the workspace. A row never
 * refuses anything: read it anew before a child is rejected.
 *
 * The rows hold no program or manifest; those are in compiled_cache. There are at most CURRENT_ROWS_MAX rows,
 * and the least recently used one makes room. Used by the thread that owns the cache. */
#pragma once

#include <stdint.h>

#include "base/ids.h"

enum {
    /* of all workspaces; about half a kilobyte each */
    CURRENT_ROWS_MAX = 1024,
    /* as long as the API uses what it has read of a workflow (fcgi/cache/workflow_cache.h) */
    CURRENT_ROW_MS = 1000,
    /* Bytes of a name, which is a slug or an id; rows with longer names are not kept. */
    CURRENT_ROW_NAME_MAX = 64,
};

struct current_row {
    /* The workflow or skill. */
    id responder_id;
    int version;
    /* The operator's price in micro-credits; -1: not set. */
    int64_t price;
    /* The account's, read by the same statement (lib/account/account.h). */
    int64_t catalog_version;
    /* Boot time before MariaDB was asked. */
    int64_t read_ms;
};

struct current_rows;

struct current_rows *current_rows_new(void *ctx);
/* The row of a workspace's skill by its slug, or of its workflow by its id, valid until the next put or
 * forget. NULL: none was read within CURRENT_ROW_MS. */
const struct current_row *current_rows_get(const struct current_rows *all, const id *workspace,
                                           const char *name, int64_t now_ms);
/* Keeps a copy of the row in place of an earlier one. */
void current_rows_put(struct current_rows *all, const id *workspace, const char *name,
                      const struct current_row *row);
/* Forgets the row if it has this catalog version. Of several children with an outdated row, the first one
 * reads it anew, and the others use what that one has read. */
void current_rows_forget(struct current_rows *all, const id *workspace, const char *name,
                         int64_t catalog_version);
