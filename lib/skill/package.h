/* A skill as a folder of files: read, hashed, and installed where executors find it, files.dir/skills/HASH.
 * An installed folder never changes: its name determines its content. Symbolic links, devices and other
 * special files are rejected. Of the mode of a file only the executable bit of its owner is kept. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "json/json_problems.h"

enum {
    PACKAGE_HASH = 32,
    PACKAGE_FILES_MAX = 10000,
    PACKAGE_BYTES_MAX = 512 * 1024 * 1024,
};

struct package {
    const char *dir;
    /* the text of skill.json; cut if it is longer than MANIFEST_BYTES_MAX, which manifest_compile then
     * reports */
    const char *manifest;
    size_t manifest_size;
    /* SHA-256 over the paths, types and contents of all files, in the order of the paths */
    uint8_t hash[PACKAGE_HASH];
    size_t files_n;
};

/* Reads and hashes the folder `dir`. *package_r is owned by ctx, also after a failure. ERR_INVALID, with
 * problems in `p`, if the folder is not a valid package or cannot be read. */
enum err package_read(void *ctx, const char *dir, struct package **package_r,
                      struct json_problems *p) WARN_UNUSED;
/* Copies the package into files_dir, entirely or not at all; does nothing if it is installed already.
 * ERR_CONFLICT if its files have changed since package_read; ERR_LIMIT if the disk is full or the quota is
 * used up; ERR_INTERNAL for other failures. The last two are logged. */
enum err package_install(const struct package *package, const char *files_dir) WARN_UNUSED;
/* Passes the package to `sink` as one sequence of bytes, an archive, whose SHA-256 is the package's hash.
 * Returns the first error of `sink`. ERR_CONFLICT: the files cannot be read or have changed since
 * package_read. */
typedef enum err package_sink(void *arg, const void *bytes, size_t size);
enum err package_archive(const struct package *package, package_sink *sink, void *arg) WARN_UNUSED;
/* Installs the archive that the file `fd` holds; does nothing if the package is there already. The caller has
 * verified the hash. ERR_INVALID: it is no archive. ERR_LIMIT and ERR_INTERNAL as of package_install. */
enum err package_unpack(int fd, const uint8_t hash[PACKAGE_HASH], const char *files_dir) WARN_UNUSED;
/* Makes the folder `skills` of files_dir. If files_dir has the setgid bit, its group may write there: an
 * operator installs packages, and executors unpack those of other hosts. Errors as of package_install. */
enum err package_open_folder(const char *files_dir, const char *skills) WARN_UNUSED;
/* The path of the installed package with that hash; a new string of ctx. */
char *package_path(void *ctx, const char *files_dir, const uint8_t hash[PACKAGE_HASH]);
