/* Brings a database to the schema that this build knows: runs sql/migrations in order, each once, and records
 * its checksum in schema_migrations. Concurrent calls are safe, also on several servers that replicate to
 * each other: one of them executes a migration (the primary key of its row decides), and the others wait for
 * its end. */
#pragma once

#include "mariadb/db.h"

struct migration {
    int64_t number, applied_ms;
    const char *name, *sha256;
    /* applied by this call */
    bool is_new;
};

struct migrate_options {
    /* how long a migration that was begun elsewhere may take */
    int wait_s;
    /* No program of an earlier version runs: migrations that must not run beside one are applied too. */
    bool programs_stopped;
};

/* Applies the migrations that are missing. *list_r has all migrations of this build. *why_r is a sentence of
 * ctx that explains an error. ERR_CONFLICT: nothing was done, because the migrations applied earlier are not
 * those of this build, or because one that is missing must not run beside programs of an earlier version,
 * there is a workspace, and the programs are not said to be stopped. ERR_UNAVAILABLE: MariaDB is unreachable.
 * ERR_RETRY: a migration that was begun, by another call or by one that was interrupted, did not end in time.
 * ERR_INTERNAL: a statement failed (logged). */
enum err migrate(struct db *db, void *ctx, const struct migrate_options *options, struct migration **list_r,
                 size_t *count_r, const char **why_r) WARN_UNUSED;
