/* Programs of MariaDB, run by a command: they end with it, read nothing, and write to a file. A program is
 * searched in PATH, /usr/sbin and /sbin. `argv` ends with NULL. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Runs a program to its end. NULL, or a sentence of ctx with the end of what it wrote. */
const char *program_run(void *ctx, const char *const *argv, const char *log);
/* The same for two programs; the second reads what the first writes. */
const char *program_run_pair(void *ctx, const char *const *first, const char *const *second, const char *log);
/* Starts a program. -1: it cannot be started. */
pid_t program_start(const char *const *argv, const char *log);
/* A sentence of ctx: `name` failed, and the end of what is in `log`. */
const char *program_failure(void *ctx, const char *name, const char *log);
