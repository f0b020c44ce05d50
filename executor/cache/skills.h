/* Compiled manifests of one executor process, as programs.h has programs: the database thread looks them up,
 * the loop thread runs them. A version of a skill never changes. References are counted, across the two
 * threads. */
#pragma once

#include "skill/manifest.h"
#include "store/skill.h"

enum { COMPILED_SKILLS_MAX = 256 };

struct compiled_skills;
struct cached_skill;

struct compiled_skills *compiled_skills_new(void *ctx);

/* Database thread only. *skill_r is a reference. ERR_NOT_FOUND: there is no such version, or the workspace
 * has no such skill; ERR_INVALID: it does not compile. */
enum err compiled_skills_get(struct compiled_skills *all, struct db *db, const id *workspace, const id *skill,
                             int version, struct cached_skill **skill_r) WARN_UNUSED;
/* By its slug, at its current version. */
enum err compiled_skills_find(struct compiled_skills *all, struct db *db, const id *workspace,
                              const char *slug, struct cached_skill **skill_r) WARN_UNUSED;

const struct manifest *cached_skill_manifest(const struct cached_skill *s);
const struct skill *cached_skill_row(const struct cached_skill *s); /* without the manifest's text */
struct cached_skill *cached_skill_ref(struct cached_skill *s);
void cached_skill_unref(struct cached_skill *s); /* any thread; NULL-safe */
