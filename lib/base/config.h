/* Settings: an ini file, read once at start. Each setting is one row of the table in config.c (section, name,
 * type, default, range, text), which makes the parser, `millrace config --dump` and etc/millrace.ini.sample.
 * A key that is not in the table, or a value out of its range, refuses the start with a line that names it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct config {
    struct {
        const char *socket, *name;
    } database;
    struct {
        const char *socket, *prefix;
    } redis;
    struct {
        const char *socket, *uploads_socket, *db_user, *db_password_file, *log_file;
        int64_t workers, uploads_workers, recycle_requests, rate_limit_per_minute, grace_s, queue_ms;
    } api;
    struct {
        const char *db_user, *db_password_file, *log_file, *outgoing_allow, *run_dir, *sandbox_accept_missing;
        int64_t processes, max_active, max_waiting, max_losses, grace_s, sandbox_uid_base;
    } executor;
    struct {
        const char *socket, *db_user, *db_password_file, *log_file;
        int64_t max_streams;
    } stream;
    struct {
        const char *dir;
        int64_t file_max_bytes, principal_max_bytes;
    } files;
    struct {
        const char *key_file;
    } secrets;
    struct {
        const char *db_user, *db_password_file;
    } admin;
    struct {
        const char *level;
    } log;
};

/* Reads `path`. On ERR_INVALID *why_r is a line of ctx for the operator, naming file, key and reason. */
enum err config_load(void *ctx, const char *path, struct config **config_r, const char **why_r) WARN_UNUSED;
/* Where a program finds it without being told: $MILLRACE_CONFIG, else run/millrace.ini, else
 * /etc/millrace/millrace.ini. */
const char *config_find(void);
/* The whole table as an ini file; with `config` the values in force instead of the defaults. */
void config_dump(FILE *out, const struct config *config);
/* The first line of a password file, of ctx; NULL where it cannot be read (logged). "" for an empty path. */
const char *config_password(void *ctx, const char *path);
