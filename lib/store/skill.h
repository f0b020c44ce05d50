/* Skills: what is installed in a workspace, and its versions, which never change. Everything takes the
 * workspace: another workspace's skill is not found. Results are of ctx. */
#pragma once

#include "mariadb/db.h"
#include "run/accept.h"

enum { SKILL_HASH_SIZE = 32 };

struct skill {
    id id, workspace_id, tenant_id;
    const char *slug;
    int version;       /* the one meant: the current one, or that which was asked for */
    const char *label; /* the same as its manifest names it */
    uint8_t hash[SKILL_HASH_SIZE];
    bool agentic;
    int64_t credits; /* micro: what its manifest asks for */
    int64_t price;   /* micro: the operator's, -1 where none is set */
    int64_t created_ms, updated_ms, version_ms;
    const char *manifest; /* as written */
    size_t manifest_size;
};

struct skill_version {
    id skill_id;
    int version;
    const char *label;
    int64_t created_ms;
};

/* By its slug, if it is not archived, at its current version. */
enum err skill_get_current(struct db *db, void *ctx, const id *workspace, const char *slug,
                           struct skill *skill_r) WARN_UNUSED;
/* Any version of any skill, by id. */
enum err skill_get_version(struct db *db, void *ctx, const id *workspace, const id *skill, int version,
                           struct skill *skill_r) WARN_UNUSED;
/* All that are not archived, by slug. */
enum err skill_list(struct db *db, void *ctx, const id *workspace, struct skill **list_r,
                    size_t *count_r) WARN_UNUSED;
/* The versions of one skill, or of all (NULL), the newest of each first. */
enum err skill_version_list(struct db *db, void *ctx, const id *workspace, const id *skill,
                            struct skill_version **list_r, size_t *count_r) WARN_UNUSED;

struct skill_install {
    id workspace_id;
    id skill_id; /* of a new skill, chosen by the caller */
    const char *slug, *label;
    uint8_t hash[SKILL_HASH_SIZE];
    bool agentic;
    int64_t credits;
    struct span manifest;
    int64_t at_ms;
};
/* Makes this version the current one: a new version, or one that is installed already (*is_new_r false).
 * ERR_CONFLICT: this label is installed with other files; ERR_NOT_FOUND: no such workspace. */
enum err skill_put(struct db *db, const struct skill_install *s, id *skill_r, bool *is_new_r) WARN_UNUSED;
/* It takes no runs any more and is not shown; again is no error. */
enum err skill_archive(struct db *db, const id *workspace, const char *slug, int64_t now_ms) WARN_UNUSED;
/* The least that a run of it costs, as workflow_price. */
enum err skill_price(struct db *db, void *ctx, const id *workspace, const char *slug,
                     int64_t *micro_r) WARN_UNUSED;
