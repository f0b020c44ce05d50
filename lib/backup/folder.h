/* A folder of backups: each is a folder named by the time in UTC at which it was begun,
 * "2026-01-15T10-30-00Z", with ".partial" while it is not whole. Functions return NULL, or a sentence of ctx
 * that says what failed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLDER_PARTIAL ".partial"

/* The name of a backup that begins now; a new string of ctx. */
char *folder_name(void *ctx, int64_t wall_ms);
/* True for a name that folder_name makes. */
bool folder_is_name(const char *name);
/* The names of whole backups, oldest first. */
const char *folder_list(void *ctx, const char *dir, const char ***names_r, size_t *n_r);
/* Removes what was begun and did not become whole. The caller has locked the folder. */
const char *folder_remove_partial(void *ctx, const char *dir);
/* Removes whole backups until the `keep` newest are left. *n_r: how many were removed. */
const char *folder_keep(void *ctx, const char *dir, size_t keep, size_t *n_r);
/* Locks the folder for one creator, and makes it if it is missing. The lock ends when the descriptor is
 * closed by this process and by the programs that it has started. */
const char *folder_lock(void *ctx, const char *dir, int *fd_r);
