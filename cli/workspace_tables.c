#include "cli/workspace_tables.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "store/model.h"
#include "webhook/endpoint.h"
#include "webhook/sealed_response.h"

#define OWN "workspace_id = ?"
#define OF_RUNS(column) column " IN (SELECT id FROM executions WHERE workspace_id = ?)"

const struct workspace_table workspace_tables[] = {
    {"accounts", OWN, NULL},
    {"tenants", "id IN (SELECT tenant_id FROM workspaces WHERE id = ?)", NULL},
    {"workspaces", "id = ?", NULL},
    {"api_keys", OWN, NULL},
    {"quotas", OWN, NULL},
    {"secrets", OWN, NULL},
    {"models", OWN, NULL},
    {"price_lists", OWN, NULL},
    {"workflows", OWN, NULL},
    {"workflow_versions", "workflow_id IN (SELECT id FROM workflows WHERE workspace_id = ?)", NULL},
    {"workflow_calls", "workflow_id IN (SELECT id FROM workflows WHERE workspace_id = ?)", NULL},
    {"skills", OWN, NULL},
    {"skill_versions", "skill_id IN (SELECT id FROM skills WHERE workspace_id = ?)", NULL},
    {"files", OWN, NULL},
    {"executions", OWN, NULL},
    {"execution_tags", OWN, NULL},
    {"execution_chats", OWN, NULL},
    {"execution_failures", OWN, NULL},
    {"execution_children", OF_RUNS("root_id"), NULL},
    {"execution_trees", OF_RUNS("root_id"), NULL},
    {"execution_retries", OF_RUNS("execution_id"), NULL},
    {"execution_steps", OF_RUNS("execution_id"), NULL},
    {"execution_charges", OF_RUNS("execution_id"), NULL},
    {"execution_usage", OF_RUNS("execution_id"), NULL},
    {"artifacts", OF_RUNS("execution_id"), NULL},
    {"events", OF_RUNS("execution_id"), NULL},
    {"run_times", OF_RUNS("execution_id"), NULL},
    {"signals", OF_RUNS("execution_id"), NULL},
    {"signal_waits", OF_RUNS("execution_id"), NULL},
    {"signal_tickets", OWN, NULL},
    {"credit_grants", OWN, NULL},
    {"credit_ledger", OWN, NULL},
    {"credit_parts", OWN, NULL},
    {"credit_references", OWN, NULL},
    {"credit_sums", OWN, NULL},
    {"credit_months", OWN, NULL},
    {"ledger_rollups", OWN, NULL},
    {"ledger_rollup_sums", OWN, NULL},
    {"ledger_rollup_budgets", OWN, NULL},
    {"credit_alerts", OWN, NULL},
    {"credit_alert_days", OWN, NULL},
    {"budgets", OWN, NULL},
    {"budget_periods", "budget_id IN (SELECT id FROM budgets WHERE workspace_id = ?)", NULL, true},
    {"idempotency_keys", OWN, NULL, true},
    {"batches", OWN, NULL, true},
    {"bulk_jobs", OWN, NULL, true},
    {"bulk_items", "job_id IN (SELECT id FROM bulk_jobs WHERE workspace_id = ?)", NULL, true},
    {"bulk_counts", "job_id IN (SELECT id FROM bulk_jobs WHERE workspace_id = ?)", NULL, true},
    {"deeds", OWN, NULL, true},
    {"feeds", OWN, NULL, true},
    {"feed_events", OWN, NULL, true},
    {"schedules", OWN, NULL},
    {"schedule_occurrences", OWN, NULL, true},
    {"webhooks", OWN, NULL},
    {"webhook_secrets", OWN, NULL},
    {"webhook_outbox", OWN, NULL, true},
    {"webhook_lanes", OWN, NULL, true},
    {"webhook_deliveries", OWN, NULL, true},
    {"retention_skipped", OWN, NULL},
    {"retention", OWN, NULL},
    {"blobs", NULL, "the bytes go along, and each cell keeps its own rows about them"},
    {"dead_objects", NULL, "of the cell's object store"},
    {"cluster_writer", NULL, "of the cell"},
    {"console_sessions", NULL, "people sign in again, at the other cell"},
    {"executors", NULL, "of the cell; no run is active"},
    {"ledger_numbers", NULL, "of the cell; rows that come along have the number 0"},
    {"operators", NULL, "of the cell"},
    {"purges", NULL, "the export waits for their end"},
    {"pushes", NULL, "of the cell, which goes on sending the rows that were written in it"},
    {"pushes_aside", NULL, "of the cell's destinations"},
    {"run_counts", NULL, "what the cell has done since its beginning"},
    {"schema_migrations", NULL, "both cells have the same"},
    {"stops", NULL, "the export waits for their end"},
    {"stream_tickets", NULL, "of minutes; the client asks for another one"},
    {"upkeep_tasks", NULL, "of the cell"},
    {"waits", NULL, "of unfinished runs, for whose end the export waits"},
    {0},
};

const char *workspace_hash_column(const char *table)
{
    if (strcmp(table, "files") == 0 || strcmp(table, "artifacts") == 0)
        return "sha256";
    return strcmp(table, "execution_usage") == 0 ? "log_sha256" : "";
}

/* --- sealed columns --- */

static const struct sealed_columns {
    const char *table;
    /* of which the seal's name is made; NULL: "webhook" */
    const char *named_by;
    const char *nonce, *sealed;
    bool is_webhook;
} sealed_columns[] = {
    {"secrets", "name", "nonce", "sealed", false},
    {"models", "alias", "nonce", "sealed", false},
    {"webhooks", "id", "nonce", "sealed", true},
    {"webhooks", "id", "old_nonce", "old_sealed", true},
    {"webhook_secrets", NULL, "nonce", "sealed", true},
    {"webhook_secrets", NULL, "old_nonce", "old_sealed", true},
};

int workspace_column(const char *columns, const char *name)
{
    size_t size = strlen(name);
    int i = 0;
    for (const char *at = columns; *at; i++) {
        size_t length = strcspn(at, ",");
        if (length == size + 2 && strncmp(at + 1, name, size) == 0)
            return i;
        at += length + (at[length] == ',');
    }
    return -1;
}

static const char *name_of(void *ctx, const struct sealed_columns *s, const char *columns,
                           const struct span *cells)
{
    if (!s->named_by)
        return WEBHOOK_SEAL_NAME;
    struct span cell = cells[workspace_column(columns, s->named_by)];
    if (!cell.at)
        return NULL;
    char *text = talloc_strndup(ctx, cell.at, cell.size);
    if (strcmp(s->table, "models") == 0)
        return model_seal_name(ctx, text);
    return s->is_webhook ? talloc_asprintf(ctx, WEBHOOK_SEAL_NAME ".%s", text) : text;
}

static enum err reseal(void *ctx, const uint8_t *from, const uint8_t *to, const id *workspace,
                       const char *name, struct span *nonce, struct span *sealed)
{
    char *value;
    size_t size;
    if (!name)
        return ERR_DENIED;
    enum err e = secret_open(ctx, from, workspace, name, (const uint8_t *)nonce->at, nonce->size,
                             (const uint8_t *)sealed->at, sealed->size, &value, &size);
    if (e != OK)
        return e;
    uint8_t *new_nonce = talloc_array(ctx, uint8_t, SECRET_NONCE_SIZE);
    uint8_t *new_sealed = talloc_array(ctx, uint8_t, size + SECRET_SEAL_SIZE);
    secret_seal(to, workspace, name, value, size, new_nonce, new_sealed);
    talloc_free(value);
    *nonce = (struct span){(const char *)new_nonce, SECRET_NONCE_SIZE};
    *sealed = (struct span){(const char *)new_sealed, size + SECRET_SEAL_SIZE};
    return OK;
}

/* The response that is kept for an Idempotency-Key. One of another key stays as it is: it cannot be replayed
 * in its own cell either, and is gone after a day. */
static void reseal_response(void *ctx, const uint8_t *from, const uint8_t *to, const id *workspace,
                            struct span *body)
{
    struct span opened;
    if (response_is_sealed(*body) && response_open(ctx, from, workspace, *body, &opened) == OK)
        *body = response_seal(ctx, to, workspace, opened);
}

enum err workspace_reseal(void *ctx, const struct seal_keys *keys, bool to_transfer, const id *workspace,
                          const char *table, const char *columns, struct span *cells)
{
    enum err e = OK;
    int body = strcmp(table, "idempotency_keys") == 0 ? workspace_column(columns, "body") : -1;
    if (body >= 0 && keys->has_webhooks)
        reseal_response(ctx, to_transfer ? keys->webhooks : keys->transfer,
                        to_transfer ? keys->transfer : keys->webhooks, workspace, &cells[body]);
    for (size_t i = 0; e == OK && i < sizeof sealed_columns / sizeof *sealed_columns; i++) {
        const struct sealed_columns *s = &sealed_columns[i];
        if (strcmp(s->table, table) != 0)
            continue;
        int nonce = workspace_column(columns, s->nonce), sealed = workspace_column(columns, s->sealed);
        if (nonce < 0 || sealed < 0)
            return ERR_INTERNAL;
        if (!cells[sealed].at)
            continue;
        if (s->is_webhook ? !keys->has_webhooks : !keys->has_secrets)
            return ERR_DENIED;
        const uint8_t *own = s->is_webhook ? keys->webhooks : keys->secrets;
        e = reseal(ctx, to_transfer ? own : keys->transfer, to_transfer ? keys->transfer : own, workspace,
                   name_of(ctx, s, columns, cells), &cells[nonce], &cells[sealed]);
    }
    return e;
}
