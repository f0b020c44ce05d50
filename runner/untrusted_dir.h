/* Folders that hostile code wrote: nothing here follows a symbolic link, leaves the folder, or takes
 * unbounded time or depth. Functions take a descriptor of the folder, which stays the caller's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* More entries than this, or deeper nesting, counts as using too much disk: inodes are a resource too, and a
 * walk must end. */
enum { UNTRUSTED_DIR_ENTRIES_MAX = 20000, UNTRUSTED_DIR_DEPTH_MAX = 32 };

/* Bytes of disk that the folder takes; UINT64_MAX when it has too many entries or is too deep. */
uint64_t untrusted_dir_usage(int dir_fd);

/* Calls `visit` for every regular file, with its path below the folder and its folder's descriptor; stops
 * when it returns false, at the caps above, or at the end. */
typedef bool untrusted_dir_visit(void *arg, int dir_fd, const char *name, const char *relpath,
                                 const struct stat *st);
void untrusted_dir_files(int dir_fd, untrusted_dir_visit *visit, void *arg);

/* Gives the folder and what is in it to the calling user, folders made searchable and files readable to it.
 * Stops at the caps. A file with several names is left alone: one of them may be someone else's. */
void untrusted_dir_take_ownership(int dir_fd);

/* Removes path and everything below it, however deep; folders that forbid it are opened up first. */
bool untrusted_dir_remove(const char *path);
