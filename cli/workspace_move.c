/* millrace workspace reopen, and what export and import share. */
#include "cli/workspace_move.h"

#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "deed/deed.h"
#include "mariadb/table_copy.h"

enum err workspace_lock_frozen(struct db_tx *tx, const id *workspace, struct workspace_fence *fence_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_WORKSPACE_MOVE_STATE, &arg, 1, &rows);
    if (e == OK && rows->count == 0)
        return ERR_NOT_FOUND;
    if (e == OK)
        *fence_r = (struct workspace_fence){
            .workspace = *workspace,
            .frozen = (enum frozen)db_int(rows, 0, WORKSPACE_MOVE_STATE_FROZEN),
            .touched = db_int(rows, 0, WORKSPACE_MOVE_STATE_TOUCHED),
        };
    return e;
}

static enum err set_frozen(struct db_tx *tx, const struct workspace_fence *fence, enum frozen frozen)
{
    struct db_value args[] = {db_number(frozen), db_id(&fence->workspace), db_number(fence->frozen),
                              db_number(fence->touched)};
    struct db_rows *rows;
    enum err e = db_run(tx->db, tx->ctx, SQL_WORKSPACE_MOVE_SET, args, 4, &rows);
    return e == OK && rows->affected == 0 ? ERR_NOT_FOUND : e;
}

enum err workspace_take(struct db_tx *tx, struct workspace_fence *fence, enum frozen frozen)
{
    enum err e = set_frozen(tx, fence, frozen);
    fence->frozen = frozen;
    fence->touched++;
    return e;
}

enum err workspace_check_fence(struct db_tx *tx, void *arg)
{
    const struct workspace_fence *fence = arg;
    struct workspace_fence found;
    enum err e = workspace_lock_frozen(tx, &fence->workspace, &found);
    if (e == ERR_NOT_FOUND) /* settling: this was the last slice, which has removed the account */
        return tx->settling ? OK : ERR_CONFLICT;
    return e == OK && (found.frozen != fence->frozen || found.touched != fence->touched) ? ERR_CONFLICT : e;
}

static enum err open_work(struct db_tx *tx, void *arg)
{
    const struct workspace_opening *o = arg;
    struct workspace_fence found;
    bool committed;
    enum err e = workspace_lock_frozen(tx, &o->workspace, &found);
    if (e == OK)
        e = deed_find_committed(tx, o->deed, &o->workspace, o->workspace.text, &committed);
    if (e != OK || committed)
        return e;
    if (found.frozen != o->frozen || (o->fence && found.touched != o->fence->touched))
        return ERR_NOT_FOUND;
    e = set_frozen(tx, &found, FROZEN_NOT);
    return e == OK ? deed_record(tx, o->deed, &o->workspace, o->workspace.text, o->detail) : e;
}

enum err workspace_open(struct db *db, const struct workspace_opening *opening)
{
    struct workspace_opening copy = *opening;
    return db_transaction(db, open_work, &copy);
}

enum err workspace_schema(struct db *db, void *ctx, int64_t *number_r)
{
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKSPACE_SCHEMA, NULL, 0, &rows);
    *number_r = e == OK && rows->count ? db_int(rows, 0, WORKSPACE_SCHEMA_NUMBER) : 0;
    return e;
}

enum err workspace_count_unsent(struct db *db, void *ctx, const id *workspace, int64_t *n_r)
{
    struct db_value arg = db_id(workspace);
    struct db_rows *rows;
    enum err e = db_run(db, ctx, SQL_WORKSPACE_PUSH_LEFT, &arg, 1, &rows);
    *n_r = e == OK ? db_int(rows, 0, WORKSPACE_PUSH_LEFT_N) : 0;
    return e;
}

enum err workspace_remove_rows(struct db *db, struct workspace_fence *fence, int64_t *n_r)
{
    enum err e = OK;
    size_t n = 0;
    *n_r = 0;
    while (workspace_tables[n].name)
        n++;
    while (e == OK && n-- > 0) {
        const struct workspace_table *t = &workspace_tables[n];
        if (!t->where || strcmp(t->name, "tenants") == 0)
            continue;
        struct db_copy_delete removal = {.db = db,
                                         .table = t->name,
                                         .where = t->where,
                                         .workspace = &fence->workspace,
                                         .begin = workspace_check_fence,
                                         .begin_arg = fence};
        e = db_copy_delete(&removal);
        *n_r += removal.n;
    }
    return e;
}

static bool load_key(struct cli *cli, const char *path, uint8_t key[SECRET_KEY_SIZE])
{
    const char *why;
    if (secrets_load_key(path, key, &why) == OK)
        return true;
    cli_fail(cli, "the key file %s %s", path, why);
    return false;
}

bool workspace_load_keys(struct cli *cli, const char *transfer_path, bool makes, struct seal_keys *keys_r)
{
    const char *secrets = cli->config->secrets.key_file, *webhooks = cli->config->webhooks.key_file;
    memset(keys_r, 0, sizeof *keys_r);
    keys_r->has_secrets = *secrets != '\0';
    keys_r->has_webhooks = *webhooks != '\0';
    if (makes && access(transfer_path, F_OK) != 0 && secrets_make_key(transfer_path) != OK) {
        cli_fail(cli, "the key file %s cannot be created", transfer_path);
        return false;
    }
    return load_key(cli, transfer_path, keys_r->transfer) &&
           (!keys_r->has_secrets || load_key(cli, secrets, keys_r->secrets)) &&
           (!keys_r->has_webhooks || load_key(cli, webhooks, keys_r->webhooks));
}

/* --- millrace workspace reopen --- */

int cmd_workspace_reopen(struct cli *cli, int argc, char **argv)
{
    enum { STATEMENT_S = 10 };
    const char *text = NULL;
    const struct cli_option options[] = {{"workspace", .text_r = &text}, {0}};
    id workspace;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, text, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = workspace_open(
        cli->db, &(struct workspace_opening){workspace, FROZEN_EXPORTED, NULL, "workspace.reopen", NULL});
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "the workspace was not exported from here");
    if (e != OK)
        return cli_fail_err(cli, e, "reopening the workspace");
    json_object *o = json_object_new_object();
    cli_add_text(o, "workspace", workspace.text);
    json_object_object_add(o, "reopened", json_object_new_boolean(true));
    return cli_print_line(cli, o, "reopened");
}
