/* The secrets of workspaces: the values that ${/secrets/NAME} stands for in http steps. They are stored
 * sealed (secret/seal.h). Values are never logged, and memory that held one is wiped when it is freed. */
#pragma once

#include "mariadb/db.h"
#include "secret/redact.h"
#include "secret/seal.h"

struct secret {
    const char *name;
    int64_t updated_ms;
    /* NUL-terminated; NULL if secrets_list was called without a key */
    const char *value;
    size_t size;
};

/* Creates or replaces a secret. ERR_NOT_FOUND: no such workspace. */
enum err secret_set(struct db *db, const uint8_t key[SECRET_KEY_SIZE], const id *workspace, const char *name,
                    const char *value, size_t size) WARN_UNUSED;
/* Reads n secrets at once into values_r, which is zeroed; the texts are of ctx, NULL for a secret that the
 * workspace does not have. ERR_DENIED: as of secret_open (logged, without the value). */
enum err secrets_get(struct db *db, void *ctx, const uint8_t key[SECRET_KEY_SIZE], const id *workspace,
                     const char *const *names, size_t n, struct secret_value *values_r) WARN_UNUSED;
/* All secrets of a workspace, sorted by name, of ctx. key: also their values; NULL: only their names. */
enum err secrets_list(struct db *db, void *ctx, const uint8_t *key, const id *workspace,
                      struct secret **list_r, size_t *count_r) WARN_UNUSED;
/* ERR_NOT_FOUND: the workspace has no such secret. */
enum err secret_delete(struct db *db, const id *workspace, const char *name) WARN_UNUSED;
