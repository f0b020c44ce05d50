/* millrace workspace discard: removes a workspace that was exported from the cell in which it was. */
#include <string.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "cli/workspace_move.h"
#include "deed/deed.h"

struct discard {
    id workspace;
    struct workspace_fence fence;
    int64_t unsent;
};

/* From its COMMIT on, the workspace cannot be opened again; a command that was interrupted is repeated. */
static enum err begin_work(struct db_tx *tx, void *arg)
{
    struct discard *d = arg;
    enum err e = workspace_lock_frozen(tx, &d->workspace, &d->fence);
    if (e == OK && d->fence.frozen == FROZEN_DISCARDED)
        return workspace_take(tx, &d->fence, FROZEN_DISCARDED);
    if (e == OK && d->fence.frozen != FROZEN_EXPORTED)
        return ERR_CONFLICT;
    if (e == OK)
        e = workspace_count_unsent(tx->db, tx->ctx, &d->workspace, &d->unsent);
    if (e != OK || d->unsent > 0)
        return e;
    e = workspace_take(tx, &d->fence, FROZEN_DISCARDED);
    /* of the installation: the workspace's own deeds are removed with it */
    return e == OK ? deed_record(tx, "workspace.discard", NULL, d->workspace.text, NULL) : e;
}

int cmd_workspace_discard(struct cli *cli, int argc, char **argv)
{
    const char *text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {0}};
    struct discard d = {.unsent = 0};
    int64_t rows_n = 0;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, MOVE_STATEMENT_S, text, &d.workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = db_transaction(cli->db, begin_work, &d);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "the workspace was not exported from here; nothing was removed");
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "there is no such workspace");
    if (e == OK && d.unsent > 0)
        return cli_fail(
            cli,
            "a destination of the usage push has not got %lld rows of the workspace's ledger, which "
            "nobody else sends; nothing was removed. See `millrace push list`",
            (long long)d.unsent);
    if (e == OK)
        e = workspace_remove_rows(cli->db, &d.fence, &rows_n);
    if (e == ERR_CONFLICT)
        return cli_fail(cli,
                        "another command has taken the workspace over in the meantime; nothing more was "
                        "removed (%lld rows before). See `millrace workspace list`",
                        (long long)rows_n);
    if (e != OK)
        return cli_fail_err(cli, e, "removing the workspace");
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace", d.workspace.text);
    cli_add_number(o, "rows", rows_n);
    return cli_print(cli, o);
}
