/* Trees of files: visited, copied with the sums of their bytes, synced, removed. Functions return NULL, or a
 * sentence of ctx that says what failed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { TREE_SUM = 32, TREE_SUM_TEXT = 2 * TREE_SUM };

struct tree_sum {
    /* SHA-256 */
    uint8_t sha256[TREE_SUM];
    int64_t size;
};

/* Calls `visit` for each regular file below `root`, in the order of the names, until it returns a sentence.
 * `path`: below `root`. Anything but files and folders is an error. */
typedef const char *tree_visitor(void *arg, const char *path);
const char *tree_visit(void *ctx, const char *root, tree_visitor *visit, void *arg);

/* Reads the file `from` and sums its bytes; unless `to` is NULL, copies it there, with its mode, and makes
 * the folders that `to` lacks, of mode 0755. The copy is not synced. `to` must not exist. */
const char *tree_copy_file(void *ctx, const char *from, const char *to, struct tree_sum *sum_r);
/* Makes the folders that lead to the file `path`. */
const char *tree_make_parents(void *ctx, const char *path);
/* Writes everything of the file system of `path` to the disk. */
const char *tree_sync(void *ctx, const char *path);
/* Removes a folder with its content; it need not exist. */
const char *tree_remove(void *ctx, const char *root);
/* Gives a tree to a user and a group; its folders get the mode, its files keep theirs. */
const char *tree_give(void *ctx, const char *root, uid_t user, gid_t group, mode_t folders);
/* The folder does not exist, or is empty and is no mount point, so that another can be renamed to it. */
const char *tree_check_target(void *ctx, const char *path);
