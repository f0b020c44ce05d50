/* The marks of trees that are being stopped in slices. A run with a mark has ended, and what is below it will
 * be stopped: until then it is not accepted, claimed or woken (docs/correctness.md, "Stop"). */
#pragma once

#include "base/ids.h"
#include "mariadb/db.h"

struct stop_marks {
    /* Of the context that was passed. */
    struct db_rows *rows;
};

/* Reads the marks of `n` trees, without a lock. */
enum err stop_marks_read(struct db *db, void *ctx, const id *roots, size_t n,
                         struct stop_marks *marks_r) WARN_UNUSED;
/* True if a mark is on `run` or above it. Reads its ancestors (at most 16) if its tree has a mark. */
enum err stop_marks_cover(struct db *db, void *ctx, const struct stop_marks *marks, const id *root,
                          const id *run, bool *covered_r) WARN_UNUSED;
