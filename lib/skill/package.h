/* A skill as a folder of files: read, hashed, and put where executors find it, files.dir/skills/HASH. What is
 * there never changes: a folder of that name holds those files. Symbolic links, devices and the like are
 * refused; of a file's mode only whether it may be executed is kept. */
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
    const char *manifest; /* the text of skill.json */
    size_t manifest_size;
    uint8_t hash[PACKAGE_HASH]; /* SHA-256 over names, modes and contents, in the order of the names */
    size_t files_n;
};

/* ERR_INVALID: it is no package; the problems say why. */
enum err package_read(void *ctx, const char *dir, struct package **package_r,
                      struct json_problems *p) WARN_UNUSED;
/* Copies it into files_dir, whole or not at all; nothing where it is there already. ERR_CONFLICT: its files
 * have changed since they were read; ERR_LIMIT: the disk is full; ERR_INTERNAL (logged). */
enum err package_install(const struct package *package, const char *files_dir) WARN_UNUSED;
/* Where it is, of ctx. */
char *package_path(void *ctx, const char *files_dir, const uint8_t hash[PACKAGE_HASH]);
