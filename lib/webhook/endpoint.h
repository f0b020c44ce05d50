/* The endpoints of workspaces, and the secret that signs the own webhooks of a workspace's runs. Secrets are
 * stored encrypted (secret/seal.h) under the key of webhooks.key_file, and are never logged. */
#pragma once

#include <stdbool.h>

#include "mariadb/db.h"
#include "outbox/outbox.h"
#include "webhook/sign.h"

/* A workspace's own secret is sealed like a secret of this name, an endpoint's like "webhook.ID". */
#define WEBHOOK_SEAL_NAME "webhook"

struct once;

enum {
    WEBHOOK_URL_MAX = 2048,
    WEBHOOK_DESCRIPTION_MAX = 1024,
    WEBHOOKS_LIST_MAX = 100,
};
/* The replaced secret signs for so long, in milliseconds: a day. */
enum { WEBHOOK_ROTATION_MS = 24 * 3600 * 1000 };

/* Why an endpoint is switched off; stored. */
enum webhook_disabled { WEBHOOK_BY_REQUEST = 1, WEBHOOK_GONE = 2, WEBHOOK_FAILING = 3 };
/* "by_request", "gone" (it answered 410), "failing" (no try succeeded for five days); NULL: none of them. */
const char *webhook_disabled_name(enum webhook_disabled reason);

struct webhook {
    id id, workspace_id;
    const char *url;
    uint32_t events;
    /* Filters: unset, NULL: none. `tags` is a JSON array. */
    id workflow_id;
    const char *tags, *description;
    bool enabled;
    enum webhook_disabled disabled_reason;
    /* Wall time; 0: not so. */
    int64_t disabled_ms, failing_since_ms, old_until_ms, created_ms, updated_ms;
    /* Set only by functions that are given the key. old_secret: NULL, unless it still signs. */
    const char *secret, *old_secret;
    /* The row's bytes. */
    struct db_value nonce, sealed, old_nonce, old_sealed;
};

/* http or https, with a host, without user and fragment, at most WEBHOOK_URL_MAX bytes. */
bool webhook_url_fits(const char *url);
/* The authority of the URL in lower case, of ctx. */
char *webhook_host(void *ctx, const char *url);

/* Stores a new endpoint; `quota` is the number that the workspace may have. ERR_LIMIT: it has them. */
enum err webhook_create(struct db *db, const uint8_t *key, struct webhook *w, int64_t quota,
                        struct once *once) WARN_UNUSED;
enum err webhook_get(struct db *db, void *ctx, const uint8_t *key, const id *workspace, const id *webhook,
                     struct webhook *w_r) WARN_UNUSED;
/* After `after`, by id; without secrets. */
enum err webhook_list(struct db *db, void *ctx, const id *workspace, const id *after, int64_t limit,
                      struct webhook **list_r, size_t *n_r) WARN_UNUSED;

/* Members that are not set stay. */
struct webhook_change {
    const char *url;
    bool has_events, has_workflow, has_tags, has_description, has_enabled;
    uint32_t events;
    id workflow_id;
    const char *tags, *description;
    bool enabled;
    /* Replaces the secret; the present one signs for WEBHOOK_ROTATION_MS more. */
    const char *secret;
};
enum err webhook_change(struct db *db, void *ctx, const uint8_t *key, const id *workspace, const id *webhook,
                        const struct webhook_change *change, struct webhook *w_r) WARN_UNUSED;
/* Its deliveries are deleted later (lib/webhook/lane.h). */
enum err webhook_delete(struct db *db, const id *workspace, const id *webhook) WARN_UNUSED;
/* Writes a message webhook.test with this id for the endpoint. ERR_CONFLICT: it is switched off. */
enum err webhook_test(struct db *db, const id *workspace, const id *webhook, const id *message,
                      struct once *once) WARN_UNUSED;

/* The secret of a workspace, made at the first call. ERR_NOT_FOUND: there is no such workspace. */
struct webhook_secrets {
    const char *secret, *old_secret;
    int64_t old_until_ms;
};
enum err webhook_workspace_secret(struct db *db, void *ctx, const uint8_t *key, const id *workspace,
                                  struct webhook_secrets *s_r) WARN_UNUSED;
/* The same in a transaction about pending deliveries, for whose end the freezing of a workspace waits. The
 * texts are of tx->ctx. */
enum err webhook_lane_secret(struct db_tx *tx, const uint8_t *key, const id *workspace,
                             struct webhook_secrets *s_r) WARN_UNUSED;

/* --- for deliveries --- */

/* MariaDB's clock, in Unix milliseconds. */
enum err webhook_now(struct db *db, void *ctx, int64_t *now_r) WARN_UNUSED;
/* A row of webhook_get and of the queries whose columns are the same; texts are of ctx. */
struct webhook webhook_from_row(const struct db_rows *rows, size_t r);
/* Decrypts the secrets of a row. ERR_DENIED: another key (logged). */
enum err webhook_open(void *ctx, const uint8_t *key, struct webhook *w) WARN_UNUSED;
/* Writes a row that exists and is locked, or a new one. */
enum err webhook_write(struct db_tx *tx, const struct webhook *w) WARN_UNUSED;
