/* Settings: an ini file that a program reads once, at start. Each setting is one row of the table in config.c
 * (section, name, type, default, range, help). The parser, `millrace config --dump` and millrace.ini.sample
 * are made from that table. An unknown setting, or a value out of range, makes the program refuse to start
 * with a line that names the setting. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct config {
    struct {
        const char *socket, *name;
        int64_t timeout_s, settle_s;
    } database;
    struct {
        const char *socket, *prefix;
    } redis;
    struct {
        const char *socket, *uploads_socket, *db_user, *db_password_file, *log_file, *cors_origins,
            *public_url;
        int64_t workers, uploads_workers, recycle_requests, rate_limit_per_minute, grace_s, queue_ms,
            unknown_keys_per_s, slow_read_ms, metrics_workspaces, upload_grace_s, upload_min_rate,
            upload_max_s;
    } api;
    struct {
        const char *db_user, *db_password_file, *log_file, *outgoing_allow, *models_allow, *dns_servers,
            *run_dir, *runner_socket, *sandbox_accept_missing;
        int64_t processes, max_active, accept_latency_ms, queue_age_max_s, max_waiting, max_waiting_mib,
            memory_mib, max_http_in_flight, step_timeout_s, max_losses, stall_abort_s, grace_s,
            sandbox_uid_base, park_after_ms, lease_s, warm_idle_max, warm_idle_per_workspace, warm_idle_s,
            warm_jobs_max, warm_age_s, live_log_mib;
    } executor;
    struct {
        const char *socket, *db_user, *db_password_file, *log_file;
        int64_t max_streams, feed_hours;
    } stream;
    struct {
        int64_t wait_s, progress_wait_s;
    } mcp;
    struct {
        const char *dir;
        int64_t file_max_bytes, principal_max_bytes;
    } files;
    /* See lib/blob/blob.h. */
    struct {
        const char *store, *endpoint, *socket, *bucket, *region, *access_key, *secret_file, *path_style;
        int64_t timeout_s, cache_mib;
    } blob;
    /* See lib/store/quota.h. */
    struct {
        int64_t workflows, workflow_versions, program_bytes, files, tickets, schedules, streams, delayed_runs,
            webhooks, budgets, signal_tickets, bulk_jobs, http_requests, sandboxes, slow_requests, uploads,
            http_requests_guaranteed, sandboxes_guaranteed, uploads_guaranteed;
    } quotas;
    struct {
        int64_t items_max, keep_days;
    } bulk;
    struct {
        const char *key_file;
    } secrets;
    struct {
        const char *key_file, *retry_seconds;
        int64_t timeout_seconds, pause_max_seconds, pending_max, max_in_flight, keep_days;
    } webhooks;
    struct {
        const char *outgoing_allow;
        int64_t timeout_s, pause_max_s;
    } push;
    struct {
        int64_t rollup_after_months, rollup_wait_days;
    } billing;
    struct {
        const char *endpoint, *sample_ratio;
        int64_t caller_runs_per_minute, spans_per_minute;
    } otlp;
    struct {
        int64_t session_hours, idle_minutes;
    } console;
    struct {
        const char *db_user, *db_password_file;
        int64_t audit_log_days;
    } admin;
    struct {
        const char *name;
    } cell;
    struct {
        const char *listen, *db_user, *db_password_file, *log_file;
    } dbcheck;
    struct {
        const char *level;
        const char *format;
    } log;
};

enum {
    /* Between two heartbeats of an executor. */
    CONFIG_HEARTBEAT_S = 3,
    /* To connect to MariaDB. */
    CONFIG_CONNECT_S = 2,
};

/* NULL if database.timeout_s, database.settle_s and executor.lease_s fit together; else a sentence of ctx
 * with the arithmetic. config_load checks it. */
const char *config_times_problem(void *ctx, const struct config *config);

/* NULL if the settings of [blob] are complete; else a sentence (static) that names what is missing.
 * config_load checks it. */
const char *config_blob_problem(const struct config *config);

/* Reads `path` into a new config of ctx. On ERR_INVALID *why_r is a line for the operator that names the
 * file, the setting and the reason. */
enum err config_load(void *ctx, const char *path, struct config **config_r, const char **why_r) WARN_UNUSED;
/* The path used without --config: $MILLRACE_CONFIG, else run/millrace.ini if it is readable, else
 * /etc/millrace/millrace.ini. */
const char *config_find(void);
/* Writes all settings as an ini file: the values of `config`, or the defaults if it is NULL. */
void config_dump(FILE *out, const struct config *config);
/* Returns the first line of a password file (a new string of ctx), or "" if `path` is empty. Returns NULL if
 * the file cannot be read, and logs that. */
const char *config_password(void *ctx, const char *path);
