/* Loads documents from the folders of a registry. Private to lib/schema; schema.h declares how to fill a
 * registry. */
#pragma once

#include "schema/schema.h"

/* Loads the document that `uri` (without fragment) names; it is owned by ctx. ERR_NOT_FOUND if no prefix
 * matches, or the file does not exist or is larger than SCHEMA_FILE_MAX; ERR_INVALID with *why_r if it is not
 * valid JSON. */
enum err schema_registry_load(void *ctx, const struct schema_registry *registry, const char *uri,
                              json_object **document_r, const char **why_r) WARN_UNUSED;
