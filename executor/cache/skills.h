/* Compiled manifests of one executor process, as programs.h has programs: the database thread looks them up,
 * the loop thread runs them. A version of a skill never changes. References are counted, across the two
 * threads. */
#pragma once

#include "skill/manifest.h"
#include "store/skill.h"

enum { SKILLS_MAX = 256 };

struct skills;
struct cached_skill;

struct skills *skills_new(void *ctx);

/* Database thread only. *skill_r is a reference. ERR_NOT_FOUND: there is no such version, or the workspace
 * has no such skill; ERR_INVALID: it does not compile. */
enum err skills_get(struct skills *all, struct db *db, const id *workspace, const id *skill, int version,
                    struct cached_skill **skill_r) WARN_UNUSED;
/* By its slug, at its current version. */
enum err skills_find(struct skills *all, struct db *db, const id *workspace, const char *slug,
                     struct cached_skill **skill_r) WARN_UNUSED;

const struct manifest *skills_manifest(const struct cached_skill *s);
const struct skill *skills_row(const struct cached_skill *s); /* without the manifest's text */
struct cached_skill *skills_ref(struct cached_skill *s);
void skills_unref(struct cached_skill *s); /* any thread; NULL-safe */
