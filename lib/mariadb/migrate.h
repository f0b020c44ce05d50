/* Bringing a database to the tables that this build knows: sql/migrations in order, each once, remembered
 * with its checksum in schema_migrations. Two at once are safe: the second waits for the first (a lock of
 * MariaDB's). */
#pragma once

#include "mariadb/db.h"

struct migration {
    int64_t number, applied_ms;
    const char *name, *sha256;
    bool is_new; /* applied by this call */
};

/* Applies what is missing. ERR_CONFLICT: nothing was done, because what was applied earlier is not what this
 * build has; ERR_BUSY: MariaDB is away, or another one has been at it for `wait_s`; ERR_INTERNAL: a statement
 * failed (logged). *why_r is a sentence of ctx for all of these. The list holds what is applied now. */
enum err migrate(struct db *db, void *ctx, int wait_s, struct migration **list_r, size_t *count_r,
                 const char **why_r) WARN_UNUSED;
