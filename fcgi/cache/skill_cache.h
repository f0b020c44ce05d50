/* Compiled manifests that a worker remembers: a version of a skill never changes. Bounded; what is returned
 * lives until the next call. */
#pragma once

#include "skill/manifest.h"
#include "store/skill.h"

struct request;
struct skill_cache;

struct skill_cache *skill_cache_new(void *ctx);
/* The manifest of a skill's version, as it was read from its row. */
enum err skill_cache_manifest(struct request *r, const struct skill *skill,
                              const struct manifest **m_r) WARN_UNUSED;
