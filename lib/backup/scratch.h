/* A MariaDB server on a data directory that nobody else uses: no network, no binary log, no check of
 * passwords, a Unix socket in a folder that only its owner may enter. It ends with this process. */
#pragma once

#include "mariadb/db.h"

struct scratch;
/* Starts mariadbd and waits until it answers; `log` gets what it writes. NULL, or a sentence of ctx. Freeing
 * the server kills it. */
const char *scratch_start(void *ctx, const char *datadir, const char *log, struct scratch **scratch_r);
const char *scratch_socket(const struct scratch *scratch);
/* A connection; a statement may take `timeout_s` seconds. */
struct db *scratch_db(struct scratch *scratch, const char *database, unsigned timeout_s);
/* Lets the server write everything and end. NULL, or a sentence of ctx. Frees it. */
const char *scratch_stop(void *ctx, struct scratch *scratch);
