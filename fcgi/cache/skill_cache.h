/* Compiled manifests of skills, cached by each worker without expiry, because a version of a skill never
 * changes. The cache is bounded; a returned manifest is valid until the next call. */
#pragma once

#include "skill/manifest.h"
#include "store/skill.h"

struct request;
struct skill_cache;

struct skill_cache *skill_cache_new(void *ctx);
/* The compiled manifest of `skill`, a row as it was read from MariaDB. ERR_INTERNAL: the stored manifest does
 * not compile (logged). */
enum err skill_cache_manifest(struct request *r, const struct skill *skill,
                              const struct manifest **m_r) WARN_UNUSED;
