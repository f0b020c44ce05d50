/* Reads documents out of a registry's folders. Inner: see lib/schema/schema.h for filling one. */
#pragma once

#include "schema/schema.h"

/* The document that `uri` (no fragment) names. ERR_NOT_FOUND when no prefix fits or there is no such file;
 * ERR_INVALID with *why_r when it is no JSON. Owned by ctx. */
enum err schema_registry_load(void *ctx, const struct schema_registry *registry, const char *uri,
                              json_object **document_r, const char **why_r) WARN_UNUSED;
