/* Operations on folders that hostile code wrote. They follow no symbolic link, do not leave the folder, and
 * are bounded in time and depth. `dir_fd` stays open and owned by the caller. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A folder with more entries, or deeper nesting, counts as exceeding the disk limit: inodes are a resource
 * too, and a walk must end. */
enum {
    UNTRUSTED_DIR_ENTRIES_MAX = 20000,
    UNTRUSTED_DIR_DEPTH_MAX = 32,
    /* bytes of the longest path in such a folder: longer than the kernel accepts as one argument */
    UNTRUSTED_DIR_PATH_MAX = UNTRUSTED_DIR_DEPTH_MAX * 256,
};

/* Returns the disk use in bytes; UINT64_MAX if the folder exceeds the limits above: *why_r, static, tells
 * which. */
uint64_t untrusted_dir_usage(int dir_fd, const char **why_r);

/* Calls `visit` for every entry that is not a folder, in the order of the bytes of their paths, with its path
 * relative to `dir_fd` and a descriptor of its folder. Ends when `visit` returns false, at the limits above,
 * or after the last entry. */
typedef bool untrusted_dir_visit(void *arg, int dir_fd, const char *name, const char *relpath,
                                 const struct stat *st);
void untrusted_dir_files(int dir_fd, untrusted_dir_visit *visit, void *arg);

/* Makes the calling user the owner of the folder and its contents: folders become 0755, regular files 0644.
 * Ends at the limits above. A file with more than one hard link is not changed, because another name may
 * belong to another user. */
void untrusted_dir_take_ownership(int dir_fd);

/* Removes everything in the folder but the entry `kept` (NULL: none), at any depth. True if it succeeded. */
bool untrusted_dir_empty(int dir_fd, const char *kept);

/* Removes `path` and everything below it, at any depth. Folders without access are made accessible first.
 * True if `path` does not exist afterwards. */
bool untrusted_dir_remove(const char *path);
