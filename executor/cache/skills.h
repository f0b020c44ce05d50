/* Compiled manifests of one executor process. The database thread looks them up and compiles them, the loop
 * thread runs them (compiled_cache.h). */
#pragma once

#include "executor/cache/compiled_cache.h"
#include "executor/cache/current_rows.h"
#include "skill/manifest.h"
#include "store/skill.h"

struct compiled_skills;
struct cached_skill;

struct compiled_skills *compiled_skills_new(void *ctx, struct compute_thread *compute,
                                            struct memory_budget *memory);

/* All three: database thread only. *skill_r is a reference to a version, which is loaded if it is not in the
 * cache. ERR_NOT_FOUND: the workspace has no such skill, or the skill no such version; ERR_INVALID: it does
 * not compile (logged); or the error of the query.
 *
 * ..._within: a manifest of more than *bytes_left bytes is not compiled, because others wait for the thread;
 * then ERR_LIMIT, and *row_r, of ctx, is what cached_skill_compile needs. What is compiled is subtracted from
 * *bytes_left. */

/* row_r->manifest is NULL if it has more than text_max bytes. */
enum err compiled_skills_get_within(struct compiled_skills *all, struct db *db, void *ctx,
                                    const id *workspace, const id *skill, int version, size_t text_max,
                                    size_t *bytes_left, struct cached_skill **skill_r,
                                    struct skill *row_r) WARN_UNUSED;
/* The current version, by the skill's slug, which is read in any case; a manifest of more than *bytes_left
 * bytes is not read, and row_r->manifest is NULL then. */
enum err compiled_skills_find_within(struct compiled_skills *all, struct db *db, void *ctx,
                                     const id *workspace, const char *slug, size_t *bytes_left,
                                     struct cached_skill **skill_r, struct skill *row_r) WARN_UNUSED;
/* A reference to the version that was found last within CURRENT_ROW_MS, without a query. The caller follows
 * the rules of current_rows.h. NULL: there is no such version, it has left the cache, or it does not compile;
 * then call compiled_skills_find_within. */
struct cached_skill *compiled_skills_find_kept(struct compiled_skills *all, const id *workspace,
                                               const char *slug);
/* Database thread only: what was found last, by slug. */
struct current_rows *compiled_skills_rows(struct compiled_skills *all);
/* As compiled_skills_find_within, whatever the size: for a thread that nobody waits for. */
enum err compiled_skills_find(struct compiled_skills *all, struct db *db, const id *workspace,
                              const char *slug, struct cached_skill **skill_r) WARN_UNUSED;

/* Bytes of memory that a skill takes while its manifest is compiled, and afterwards less; by estimate. */
size_t cached_skill_estimate(const char *text, size_t size);
/* Any thread: a skill for compiled_skills_add; copies what it needs of `row`. NULL: it does not compile
 * (logged). */
struct cached_skill *cached_skill_compile(const struct skill *row);
/* Takes over the skill. NULL: the version is remembered as one that does not compile. */
void compiled_skills_add(struct compiled_skills *all, const id *skill, int version,
                         struct cached_skill *compiled);
/* Any thread. */
struct compiled_cache_counts compiled_skills_count(const struct compiled_skills *all);

const struct manifest *cached_skill_manifest(const struct cached_skill *s);
/* Without the manifest's text. Its price and its catalog version are those of the row that was used last;
 * they belong to the database thread. */
const struct skill *cached_skill_row(const struct cached_skill *s);
struct cached_skill *cached_skill_ref(struct cached_skill *s);
void cached_skill_unref(struct cached_skill *s); /* any thread; NULL-safe */
