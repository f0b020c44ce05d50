/* Skills of a workspace and their versions, which never change. Every function takes the workspace; a skill
 * of another workspace is not found. Results are allocated on ctx. */
#pragma once

#include "base/span.h"
#include "mariadb/db.h"

enum { SKILL_HASH_SIZE = 32 };

struct skill {
    id id, workspace_id, tenant_id;
    const char *slug;
    /* The version that was asked for, else the current one. */
    int version;
    /* The same version as its manifest names it. */
    const char *label;
    uint8_t hash[SKILL_HASH_SIZE];
    bool agentic;
    /* Micro-credits that the manifest asks for. */
    int64_t credits;
    /* The operator's price in micro-credits; -1: not set. */
    int64_t price;
    /* Of skill_get_current: the account's catalog version, read together (lib/account/account.h). Otherwise
     * 0. */
    int64_t catalog_version;
    int64_t created_ms, updated_ms, version_ms;
    /* As written in the package. */
    const char *manifest;
    size_t manifest_size;
};

struct skill_version {
    id skill_id;
    int version;
    const char *label;
    int64_t created_ms;
};

/* The current version of a skill that is not archived, by its slug. ERR_NOT_FOUND: none. */
enum err skill_get_current(struct db *db, void *ctx, const id *workspace, const char *slug,
                           struct skill *skill_r) WARN_UNUSED;
/* Any version of any skill, by its id. ERR_NOT_FOUND: none. */
enum err skill_get_version(struct db *db, void *ctx, const id *workspace, const id *skill, int version,
                           struct skill *skill_r) WARN_UNUSED;
/* The same; a manifest of more than manifest_max bytes is not read: NULL. */
enum err skill_get_current_within(struct db *db, void *ctx, const id *workspace, const char *slug,
                                  size_t manifest_max, struct skill *skill_r) WARN_UNUSED;
enum err skill_get_version_within(struct db *db, void *ctx, const id *workspace, const id *skill, int version,
                                  size_t manifest_max, struct skill *skill_r) WARN_UNUSED;
/* All skills that are not archived, sorted by slug. */
enum err skill_list(struct db *db, void *ctx, const id *workspace, struct skill **list_r,
                    size_t *count_r) WARN_UNUSED;
/* At most `limit` skills whose current version is exposed to agents, after a slug ("": all), sorted by slug.
 */
enum err skill_list_tools(struct db *db, void *ctx, const id *workspace, const char *after, int64_t limit,
                          struct skill **list_r, size_t *count_r) WARN_UNUSED;
/* The versions of one skill, or of all if `skill` is NULL; of each skill the newest first. */
enum err skill_version_list(struct db *db, void *ctx, const id *workspace, const id *skill,
                            struct skill_version **list_r, size_t *count_r) WARN_UNUSED;

struct skill_install {
    id workspace_id;
    /* Chosen by the caller; used if the skill is new. */
    id skill_id;
    const char *slug, *label;
    uint8_t hash[SKILL_HASH_SIZE];
    bool agentic;
    /* Agents see it as a tool. */
    bool exposed;
    int64_t credits;
    struct span manifest;
    int64_t at_ms;
};
/* Makes this version the current one, inserting it unless it is installed already (then *is_new_r is false).
 * ERR_CONFLICT: the label is installed with other files. ERR_NOT_FOUND: no such workspace. */
enum err skill_put(struct db *db, const struct skill_install *s, id *skill_r, bool *is_new_r) WARN_UNUSED;
/* An archived skill accepts no runs and is not listed. Archiving it again is no error. ERR_NOT_FOUND: no such
 * skill. */
enum err skill_archive(struct db *db, const id *workspace, const char *slug, int64_t now_ms) WARN_UNUSED;
/* The minimum price of a run: the operator's price of the skill or of the workspace, else one credit. */
enum err skill_price(struct db *db, void *ctx, const id *workspace, const char *slug,
                     int64_t *micro_r) WARN_UNUSED;
