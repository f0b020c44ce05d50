/* SHA256SUMS: one line for each file, as `sha256sum -c` reads it. In a path that has a backslash or a line
 * break these are escaped, and the line begins with a backslash. */
#pragma once

#include <stdint.h>

#include "backup/tree.h"

struct sums;
/* Creates the file. NULL: it cannot be written (errno). */
struct sums *sums_new(void *ctx, const char *path);
void sums_add(struct sums *sums, const char *path, const struct tree_sum *sum);
/* Closes the file. files_r, bytes_r: of what was added. NULL, or a sentence of ctx. */
const char *sums_end(void *ctx, struct sums *sums, int64_t *files_r, int64_t *bytes_r);

/* Calls `each` for each line, until it returns a sentence, which is returned. `sha256`: TREE_SUM bytes. */
typedef const char *sums_visitor(void *arg, const char *path, const uint8_t *sha256);
const char *sums_read(void *ctx, const char *path, sums_visitor *each, void *arg);
