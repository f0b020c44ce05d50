#include "base/config.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/cell.h"
#include "base/log.h"
#include "base/origins.h"
#include "base/retry_schedule.h"
#include "base/trace.h"

enum setting_type { SETTING_TEXT, SETTING_NUMBER };

struct setting {
    const char *section;
    const char *name;
    enum setting_type type;
    size_t offset;
    const char *text_default;
    int64_t number_default, least, most;
    const char *help;
    const char *(*problem)(const char *text); /* of a text that has rules, else NULL */
};

#define TEXT_ROW(section, name, preset, help)                                                                \
    {                                                                                                        \
#section, #name, SETTING_TEXT, offsetof(struct config, section.name), preset, 0, 0, 0, help, NULL    \
    }
#define CHECKED_ROW(section, name, preset, problem, help)                                                    \
    {                                                                                                        \
#section, #name, SETTING_TEXT, offsetof(struct config, section.name), preset, 0, 0, 0, help, problem \
    }
#define NUMBER_ROW(section, name, preset, least, most, help)                                                 \
    {                                                                                                        \
#section, #name, SETTING_NUMBER, offsetof(struct config, section.name), NULL, preset, least, most,   \
            help, NULL                                                                                       \
    }

static const char *retry_seconds_problem(const char *text)
{
    struct retry_schedule schedule;
    return retry_schedule_parse(text, &schedule)
               ? NULL
               : "is not 1 to 32 numbers of 0 to 604800, separated by commas";
}

static const char *public_url_problem(const char *text)
{
    return strpbrk(text, "*,") ? "is not one URL without a path, as in https://millrace.example.com"
                               : origins_problem(text);
}

static const char *blob_store_problem(const char *text)
{
    return strcmp(text, "directory") == 0 || strcmp(text, "s3") == 0 ? NULL : "is not directory or s3";
}

static const char *cell_name_problem(const char *text)
{
    return !*text || cell_is_name(text) ? NULL : "is not two of a-z and 0-9, as in c7";
}

static const char *yes_or_no_problem(const char *text)
{
    return strcmp(text, "yes") == 0 || strcmp(text, "no") == 0 ? NULL : "is not yes or no";
}

static const char *endpoint_problem(const char *text)
{
    static const char scheme[] = "http://";
    const char *host = strncmp(text, scheme, strlen(scheme)) == 0 ? text + strlen(scheme) : "";
    return !*text || (*host && host[strcspn(host, "/?#@ ")] == '\0')
               ? NULL
               : "is not http://HOST or http://HOST:PORT without a path";
}

static const char *otlp_endpoint_problem(const char *text)
{
    const char *host = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : NULL;
    bool is_unix = strncmp(text, "unix:/", 6) == 0 && text[6];
    bool is_url = host && *host && *host != '/' && !strpbrk(host, " \t@?#");
    return !*text || is_unix || is_url
               ? NULL
               : "is neither a URL, as in http://127.0.0.1:4318, nor unix: and an absolute path";
}

static const char *sample_ratio_problem(const char *text)
{
    uint32_t millionths;
    return trace_parse_ratio(text, &millionths) ? NULL : "is not a number of 0 to 1, as in 0.01";
}

static const struct setting settings[] = {
    TEXT_ROW(database, socket, "/run/mysqld/mysqld.sock", "MariaDB's Unix socket"),
    TEXT_ROW(database, name, "millrace", "name of the database"),
    NUMBER_ROW(
        database, timeout_s, 3, 3, 30,
        "seconds that a statement of a daemon may take; MariaDB ends it 0.2 s earlier, a wait for a row "
        "lock after 2 s"),
    NUMBER_ROW(database, settle_s, 2, 2, 30,
               "seconds for which a COMMIT of unknown outcome is looked up before the client receives 504"),
    TEXT_ROW(redis, socket, "/run/redis-millrace/redis.sock", "Redis's Unix socket"),
    TEXT_ROW(redis, prefix, "millrace:", "prefix of all Redis keys and channels"),
    TEXT_ROW(api, socket, "/run/millrace/api.sock",
             "Unix socket of the FastCGI pool, to which nginx connects"),
    TEXT_ROW(api, uploads_socket, "", "Unix socket of a second pool, for uploads; empty: no such pool"),
    NUMBER_ROW(api, workers, 32, 1, 64, "worker processes of the pool; each serves one request at a time"),
    NUMBER_ROW(api, uploads_workers, 4, 1, 64, "worker processes of the uploads pool"),
    NUMBER_ROW(api, upload_grace_s, 10, 1, 3600,
               "seconds that an upload may wait for its client, beyond what upload_min_rate grants"),
    NUMBER_ROW(api, upload_min_rate, 8192, 1, 1073741824,
               "bytes per second that the client of an upload must send on average"),
    NUMBER_ROW(api, upload_max_s, 3600, 1, 86400, "seconds that an upload may take"),
    NUMBER_ROW(api, recycle_requests, 100000, 0, 1000000000,
               "number of requests after which a worker process is replaced; 0: never"),
    NUMBER_ROW(api, rate_limit_per_minute, 600, 1, 100000000,
               "requests per minute of a workspace that has no rate limit of its own"),
    NUMBER_ROW(api, unknown_keys_per_s, 100, 1, 1000000,
               "look-ups per second of unknown API keys and tickets from one client address; beyond it, keys "
               "that the host has not seen recently are rejected with 429"),
    NUMBER_ROW(api, queue_ms, 100, 10, 5000,
               "overload threshold: if queueing delay stays above this many ms, late requests are rejected "
               "with 503"),
    NUMBER_ROW(
        api, slow_read_ms, 50, 1, 2800,
        "ms after which a statement of a list or sum ends, and its request takes a turn of its workspace for "
        "slow requests and starts again"),
    NUMBER_ROW(api, metrics_workspaces, 10, 0, 100,
               "workspaces with the most queued and running runs that GET /metrics shows one by one"),
    NUMBER_ROW(api, grace_s, 30, 1, 3600,
               "seconds that a stopping worker may take to finish its current request"),
    CHECKED_ROW(api, cors_origins, "", origins_problem,
                "web origins whose pages may use the API, comma-separated, as in https://app.example.com; *: "
                "every origin; "
                "empty: none. They take effect through nginx: `millrace config --nginx-origins`"),
    CHECKED_ROW(
        api, public_url, "", public_url_problem,
        "URL under which people reach this site, as in https://millrace.example.com, for URLs that are "
        "sent to them; millrace-executor reads it, too; empty: the Host of each request, and no URLs "
        "from steps"),
    TEXT_ROW(api, db_user, "millrace_api", "MariaDB user of the API"),
    TEXT_ROW(api, db_password_file, "", "file whose first line is the password of that user"),
    TEXT_ROW(api, log_file, "", "log file; empty: stderr"),
    NUMBER_ROW(executor, processes, 2, 1, 64, "executor processes under one master"),
    NUMBER_ROW(executor, max_active, 64, 1, 10000,
               "runs that one process executes at a time; waiting runs do not count"),
    NUMBER_ROW(
        executor, accept_latency_ms, 50, 0, 10000,
        "accepting has priority: while a request that starts a run takes longer than so many ms in the "
        "median, executors claim fewer runs; 0: they never do"),
    NUMBER_ROW(
        executor, queue_age_max_s, 10, 1, 3600,
        "seconds that queued runs may become old by that: the limit ends when a claimed run has waited "
        "for half of it"),
    NUMBER_ROW(
        executor, park_after_ms, 3000, 10, 86400000,
        "milliseconds of waiting after which a workflow's run is parked: no executor has it in memory, "
        "and any of them wakes it"),
    NUMBER_ROW(executor, max_waiting, 10000, 1, 1000000, "runs of one process that wait and are not parked"),
    NUMBER_ROW(executor, max_waiting_mib, 1024, 16, 1048576,
               "memory in MiB that these runs may take in one process, by estimate"),
    NUMBER_ROW(
        executor, memory_mib, 0, 0, 1048576,
        "memory in MiB that all runs and compiled programs of one process may take, by estimate; 0: half of "
        "the control group's limit, divided by executor.processes, or 2048 without a limit"),
    NUMBER_ROW(executor, max_http_in_flight, 4096, 1, 1000000,
               "HTTP requests that one process has in flight; half as many to one destination host"),
    NUMBER_ROW(executor, step_timeout_s, 600, 1, 86400,
               "time limit in seconds of one attempt of an http step without timeout_seconds"),
    NUMBER_ROW(executor, max_losses, 3, 1, 100,
               "number of lost executors after which a run fails with executor_lost"),
    NUMBER_ROW(executor, lease_s, 10, 9, 300,
               "seconds after a heartbeat for which an executor may act; other executors take its runs 2 s "
               "later"),
    NUMBER_ROW(executor, stall_abort_s, 60, 2, 3600,
               "seconds without progress after which a thread of the executor counts as dead and its process "
               "aborts"),
    NUMBER_ROW(executor, grace_s, 10, 0, 3600,
               "seconds that running steps may take to finish at a shutdown; unfinished runs are released to "
               "the queue"),
    TEXT_ROW(executor, outgoing_allow, "", "private networks that http steps may reach, comma-separated"),
    TEXT_ROW(executor, models_allow, "",
             "private networks that requests to model APIs may reach, comma-separated"),
    TEXT_ROW(executor, dns_servers, "",
             "name servers as ADDRESS or ADDRESS:PORT, comma-separated; empty: the system's"),
    TEXT_ROW(executor, run_dir, "/var/lib/millrace/runs",
             "parent folder of the working folders of skill runs"),
    TEXT_ROW(
        executor, runner_socket, "/run/millrace-runner/runner.sock",
        "socket of `millrace-runner --listen`, which starts the commands of skills in a control group of "
        "their own; empty, or if nobody listens there: the executor starts them itself"),
    NUMBER_ROW(executor, sandbox_uid_base, 200000, 1000, 4000000000,
               "first of the uids given to runners if the executor was started by root: each process takes "
               "max_active and twice warm_idle_max"),
    NUMBER_ROW(executor, warm_idle_max, 32, 0, 1000,
               "processes of warm skills that may wait for their next job, in one executor process; 0: each "
               "job gets a new process"),
    NUMBER_ROW(executor, warm_idle_per_workspace, 16, 1, 1000, "of these, for one workspace"),
    NUMBER_ROW(executor, warm_idle_s, 60, 1, 86400, "seconds after which such a process is ended"),
    NUMBER_ROW(executor, warm_jobs_max, 1000, 1, 1000000,
               "jobs after which the process of a warm skill is replaced"),
    NUMBER_ROW(executor, warm_age_s, 600, 1, 86400,
               "seconds after which the process of a warm skill is replaced, at its next job"),
    TEXT_ROW(executor, sandbox_accept_missing, "",
             "sandbox features allowed to be missing on this host, comma-separated"),
    TEXT_ROW(executor, db_user, "millrace_executor", "MariaDB user of the executor"),
    TEXT_ROW(executor, db_password_file, "", "file whose first line is the password of that user"),
    TEXT_ROW(executor, log_file, "", "log file; empty: stderr"),
    NUMBER_ROW(
        executor, live_log_mib, 16, 0, 1024,
        "MiB of Redis that the copy of the executors' log takes at most, which operators follow in the "
        "console; 0: no copy"),
    TEXT_ROW(stream, socket, "/run/millrace/stream.sock",
             "Unix socket of the event daemon, to which nginx connects"),
    NUMBER_ROW(stream, max_streams, 20000, 1, 1000000,
               "maximum number of open event streams and waiting requests"),
    NUMBER_ROW(
        stream, feed_hours, 168, 1, 8760,
        "hours for which the feed of a workspace keeps its events; a feed that nobody reads is deleted after "
        "this time"),
    TEXT_ROW(stream, db_user, "millrace_stream", "MariaDB user of the event daemon"),
    TEXT_ROW(stream, db_password_file, "", "file whose first line is the password of that user"),
    TEXT_ROW(stream, log_file, "", "log file; empty: stderr"),
    NUMBER_ROW(
        mcp, wait_s, 50, 1, 86400,
        "seconds after which a tool call whose client gave no progress token is answered with the id of its "
        "run; many clients give up after 60"),
    NUMBER_ROW(mcp, progress_wait_s, 3600, 1, 86400, "the same for a call whose client gave one"),
    TEXT_ROW(files, dir, "/var/lib/millrace/files", "folder of uploaded files, skills and artifacts"),
    NUMBER_ROW(files, file_max_bytes, 1073741824, 1, 1099511627776,
               "maximum size of an uploaded file, in bytes"),
    NUMBER_ROW(files, principal_max_bytes, 10737418240, 1, 1099511627776,
               "maximum size of all files of one principal together, in bytes"),
    CHECKED_ROW(
        blob, store, "directory", blob_store_problem,
        "where the bytes of files, artifacts, logs and skills are kept: directory (files.dir) or s3 (an "
        "object store; see docs/files.md)"),
    CHECKED_ROW(
        blob, endpoint, "", endpoint_problem,
        "the object store's address, http://HOST:PORT; its host is signed, also where blob.socket is set"),
    TEXT_ROW(blob, socket, "",
             "Unix socket that leads to the object store, such as HAProxy's; empty: TCP to the endpoint"),
    TEXT_ROW(blob, bucket, "", "the bucket; it holds nothing else"),
    TEXT_ROW(blob, region, "us-east-1", "region that requests are signed for"),
    TEXT_ROW(blob, access_key, "", "id of the access key"),
    TEXT_ROW(blob, secret_file, "", "file whose first line is the secret of the access key"),
    CHECKED_ROW(blob, path_style, "yes", yes_or_no_problem,
                "yes: the bucket is in the path of URLs; no: in the name of the host"),
    NUMBER_ROW(blob, timeout_s, 10, 1, 300,
               "seconds without a byte after which a request to the object store is given up"),
    NUMBER_ROW(blob, cache_mib, 4096, 16, 16777216,
               "MiB below files.dir/cache for bytes from the object store; each process may exceed it by a "
               "sixteenth"),
    NUMBER_ROW(quotas, workflows, 10000, 0, 1000000000,
               "workflows of a workspace; archived ones do not count"),
    NUMBER_ROW(quotas, workflow_versions, 10000, 0, 1000000000, "versions of one workflow"),
    NUMBER_ROW(quotas, program_bytes, 1073741824, 0, 1099511627776,
               "bytes of the programs of all versions of all workflows of a workspace; each version counts "
               "1024 bytes more"),
    NUMBER_ROW(quotas, files, 10000, 0, 1000000000, "uploaded files of a workspace"),
    NUMBER_ROW(quotas, tickets, 10000, 0, 1000000000,
               "tickets for event streams that a workspace may have at a time"),
    NUMBER_ROW(quotas, schedules, 1000, 0, 1000000, "schedules of a workspace"),
    NUMBER_ROW(quotas, streams, 1000, 0, 1000000,
               "event streams and waiting requests that a workspace may have open on a host"),
    NUMBER_ROW(quotas, delayed_runs, 100000, 0, 1000000000,
               "executions of a workspace that may wait for their start_at at a time"),
    NUMBER_ROW(quotas, webhooks, 50, 0, 1000000, "endpoints of webhooks of a workspace"),
    NUMBER_ROW(quotas, budgets, 1000, 0, 1000000, "budgets of a workspace"),
    NUMBER_ROW(quotas, signal_tickets, 10000, 0, 1000000,
               "tickets for signals that a workspace may have open at a time"),
    NUMBER_ROW(quotas, bulk_jobs, 10, 0, 1000000, "bulk jobs of a workspace that have not ended"),
    NUMBER_ROW(quotas, http_requests, 4096, 1, 1000000,
               "HTTP requests that an executor process has in flight for a workspace at most; shares may "
               "allow fewer"),
    NUMBER_ROW(quotas, sandboxes, 4096, 1, 1000000,
               "sandboxes that an executor process has for a workspace at most; shares may allow fewer"),
    NUMBER_ROW(quotas, slow_requests, 256, 1, 256,
               "slow requests of a workspace that run on a host of the API at most; shares may allow fewer"),
    NUMBER_ROW(quotas, uploads, 256, 1, 256,
               "uploads of a workspace that a host of the API receives at most; shares may allow fewer"),
    NUMBER_ROW(quotas, http_requests_guaranteed, 64, 64, 1000000,
               "a workspace with fewer HTTP requests in flight of an executor process may take the last "
               "quarter of them"),
    NUMBER_ROW(quotas, sandboxes_guaranteed, 1, 1, 1000000,
               "the same for sandboxes; a sixteenth of executor.max_active if that is more"),
    NUMBER_ROW(quotas, uploads_guaranteed, 1, 1, 256, "the same for uploads that a host of the API receives"),
    NUMBER_ROW(bulk, items_max, 1000000, 1, 100000000, "executions that one bulk job takes at most"),
    NUMBER_ROW(bulk, keep_days, 30, 1, 3650,
               "days after its end for which a bulk job and what became of each execution can be read"),
    TEXT_ROW(secrets, key_file, "",
             "file that holds the encryption key of secrets: 32 random bytes in base64"),
    TEXT_ROW(
        webhooks, key_file, "",
        "file that holds the encryption key of the secrets of webhooks, in the form of secrets.key_file; "
        "millrace-api and millrace-executor read it; empty: webhooks cannot be used"),
    CHECKED_ROW(webhooks, retry_seconds, "5,300,1800,7200,18000,36000,36000", retry_seconds_problem,
                "pauses between the tries of a delivery: 1 to 32 numbers of seconds, separated by commas"),
    NUMBER_ROW(
        webhooks, pause_max_seconds, 60, 0, 3600,
        "longest pause between two requests to an endpoint that fails; it begins with 1 s and doubles"),
    NUMBER_ROW(webhooks, timeout_seconds, 15, 1, 60, "time for an endpoint's whole answer"),
    NUMBER_ROW(webhooks, pending_max, 10000, 1, 1000000,
               "deliveries that may wait for an endpoint, or for the own webhooks of a workspace's runs; "
               "further ones fail at once"),
    NUMBER_ROW(
        webhooks, max_in_flight, 256, 1, 10000,
        "requests of webhooks that an executor process has in flight; failing endpoints have at most half"),
    NUMBER_ROW(webhooks, keep_days, 30, 1, 3650, "days after which deliveries are deleted"),
    TEXT_ROW(push, outgoing_allow, "", "private networks that the usage push may reach, comma-separated"),
    NUMBER_ROW(push, timeout_s, 15, 1, 60,
               "time for a destination's whole answer to a batch of the usage push"),
    NUMBER_ROW(
        push, pause_max_s, 300, 1, 3600,
        "longest pause between two requests to a destination of the usage push that fails; it begins with "
        "1 s and doubles"),
    NUMBER_ROW(billing, rollup_after_months, 0, 0, 120,
               "whole months after its end after which a month of the ledger is rolled up, if none of its "
               "executions remains: its rows are removed, their sums stay; 0: none is"),
    NUMBER_ROW(billing, rollup_wait_days, 30, 0, 366,
               "days that the roll-up of a month waits for destinations of the usage push that lag"),
    CHECKED_ROW(otlp, endpoint, "", otlp_endpoint_problem,
                "OpenTelemetry collector that gets spans by OTLP over HTTP, as in http://127.0.0.1:4318 or "
                "unix:/run/otel/otlp.sock; empty: no spans"),
    CHECKED_ROW(otlp, sample_ratio, "0.01", sample_ratio_problem,
                "share of the executions whose spans are exported, 0 to 1, as in 0.01"),
    NUMBER_ROW(otlp, caller_runs_per_minute, 60, 0, 1000000,
               "executions per minute of a workspace whose spans a host exports beyond that share because "
               "the caller's traceparent says that it is sampled"),
    NUMBER_ROW(otlp, spans_per_minute, 6000, 1, 1000000000,
               "spans per minute of a workspace that one process exports"),
    NUMBER_ROW(console, session_hours, 12, 1, 720, "hours after which a session of the console ends"),
    NUMBER_ROW(console, idle_minutes, 60, 5, 43200,
               "minutes without a request after which a session of the console ends"),
    TEXT_ROW(admin, db_user, "millrace_admin", "MariaDB user of the `millrace` command"),
    TEXT_ROW(admin, db_password_file, "", "file whose first line is the password of that user"),
    NUMBER_ROW(admin, audit_log_days, 730, 1, 36500,
               "days after which millrace audit-log --remove-expired removes a row"),
    CHECKED_ROW(cell, name, "", cell_name_problem,
                "name of this cell, two of a-z and 0-9, where several independent stacks share an address; "
                "new keys, sessions and tickets carry it; empty: the default cell"),
    TEXT_ROW(dbcheck, listen, "127.0.0.1:9200",
             "address and port at which `millrace dbcheck` tells HAProxy whether this node is the writer"),
    TEXT_ROW(dbcheck, db_user, "millrace_dbcheck", "MariaDB user of `millrace dbcheck`"),
    TEXT_ROW(dbcheck, db_password_file, "", "file whose first line is the password of that user"),
    TEXT_ROW(dbcheck, log_file, "", "log file; empty: stderr"),
    TEXT_ROW(log, level, "info", "lowest level that is logged: debug, info, warn or error"),
    CHECKED_ROW(log, format, "text", log_format_problem,
                "text: lines of name=value fields; json: one object of JSON a line, with the same fields"),
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

struct load {
    struct config *config;
    const char *path;
    const char *why;
};

static void setting_set_text(struct config *c, const struct setting *s, const char *value)
{
    *(const char **)((char *)c + s->offset) = talloc_strdup(c, value);
}

static void setting_set_number(struct config *c, const struct setting *s, int64_t value)
{
    *(int64_t *)((char *)c + s->offset) = value;
}

static const char *setting_set(struct config *c, const struct setting *s, const char *value)
{
    if (s->type == SETTING_TEXT) {
        setting_set_text(c, s, value);
        return s->problem ? s->problem(value) : NULL;
    }
    char *end;
    long long number = strtoll(value, &end, 10);
    if (!*value || *end)
        return "is not a whole number";
    if (number < s->least || number > s->most)
        return talloc_asprintf(c, "is not in the range %lld to %lld", (long long)s->least,
                               (long long)s->most);
    setting_set_number(c, s, number);
    return NULL;
}

static int config_on_entry(void *user, const char *section, const char *name, const char *value)
{
    struct load *load = user;
    const char *wrong = "is not a known setting";
    for (int i = 0; i < SETTINGS; i++) {
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].name, name) == 0)
            wrong = setting_set(load->config, &settings[i], value);
    }
    if (wrong && !load->why)
        load->why = talloc_asprintf(load->config, "[%s] %s = %s %s", section, name, value, wrong);
    return wrong == NULL;
}

static const char own_file[] = "run/millrace.ini", system_file[] = "/etc/millrace/millrace.ini";

/* Tells why the file cannot be read and, if it is the last resort of config_find, what else was tried. */
static const char *unreadable(void *ctx, const char *path)
{
    const char *why = strerror(errno), *variable = getenv("MILLRACE_CONFIG");
    if (strcmp(path, system_file) != 0 || (variable && *variable))
        return talloc_asprintf(ctx, "%s: cannot be read: %s", path, why);
    return talloc_asprintf(
        ctx,
        "%s: cannot be read: %s; there is no %s in this folder either, and $MILLRACE_CONFIG is "
        "not set; name the file with --config FILE",
        path, why, own_file);
}

/* nginx waits 75 s for an answer of the API (fastcgi_read_timeout in nginx/millrace.conf.in). */
enum { NGINX_READ_S = 75, STALL_MARGIN_S = 1 };

const char *config_times_problem(void *ctx, const struct config *c)
{
    long long timeout_s = c->database.timeout_s, settle_s = c->database.settle_s,
              connect_s = CONFIG_CONNECT_S;
    long long lease_s = c->executor.lease_s, heartbeat_s = CONFIG_HEARTBEAT_S;
    long long renewal_s = heartbeat_s + timeout_s + connect_s;
    if (lease_s <= renewal_s)
        return talloc_asprintf(
            ctx,
            "[executor] lease_s = %lld is too short: after a heartbeat %lld s pass until the "
            "next, which may be lost after [database] timeout_s = %lld, and %lld s for a new "
            "connection; lease_s must be more than %lld + %lld + %lld = %lld",
            lease_s, heartbeat_s, timeout_s, connect_s, heartbeat_s, timeout_s, connect_s, renewal_s);
    long long answer_s = timeout_s + connect_s + settle_s + timeout_s;
    if (answer_s >= NGINX_READ_S)
        return talloc_asprintf(
            ctx,
            "[database] timeout_s = %lld and settle_s = %lld are too long: a COMMIT that is "
            "lost, a new connection, the look-up and its last statement take %lld + %lld + "
            "%lld + %lld = %lld s, and nginx waits %d s for the API",
            timeout_s, settle_s, timeout_s, connect_s, settle_s, timeout_s, answer_s, NGINX_READ_S);
    long long stall_s = c->executor.stall_abort_s, work_s = timeout_s + connect_s + STALL_MARGIN_S;
    if (stall_s < work_s)
        return talloc_asprintf(
            ctx,
            "[executor] stall_abort_s = %lld is too short: a thread may wait [database] "
            "timeout_s = %lld for a statement and %lld s for a connection; stall_abort_s must "
            "be at least %lld + %lld + %d = %lld",
            stall_s, timeout_s, connect_s, timeout_s, connect_s, STALL_MARGIN_S, work_s);
    return NULL;
}

const char *config_blob_problem(const struct config *c)
{
    bool is_s3 = strcmp(c->blob.store, "s3") == 0;
    const char *missing = !*c->blob.endpoint      ? "[blob] endpoint is empty, which blob.store = s3 needs"
                          : !*c->blob.bucket      ? "[blob] bucket is empty, which blob.store = s3 needs"
                          : !*c->blob.region      ? "[blob] region is empty, which blob.store = s3 needs"
                          : !*c->blob.access_key  ? "[blob] access_key is empty, which blob.store = s3 needs"
                          : !*c->blob.secret_file ? "[blob] secret_file is empty, which blob.store = s3 needs"
                                                  : NULL;
    return is_s3 ? missing : NULL;
}

enum err config_load(void *ctx, const char *path, struct config **config_r, const char **why_r)
{
    struct config *c = talloc_zero(ctx, struct config);
    for (int i = 0; i < SETTINGS; i++) {
        if (settings[i].type == SETTING_TEXT)
            setting_set_text(c, &settings[i], settings[i].text_default);
        else
            setting_set_number(c, &settings[i], settings[i].number_default);
    }
    struct load load = {.config = c, .path = path};
    /* the number of the first line with an error, of the syntax or of config_on_entry; below 0: not readable
     */
    int line = ini_parse(path, config_on_entry, &load);
    if (line < 0)
        load.why = unreadable(c, path);
    else if (line > 0)
        load.why = talloc_asprintf(c, "%s: line %d: %s", path, line, load.why ? load.why : "syntax error");
    const char *problem = load.why ? NULL : config_times_problem(c, c);
    if (!load.why && !problem)
        problem = config_blob_problem(c);
    if (problem)
        load.why = talloc_asprintf(c, "%s: %s", path, problem);
    *why_r = load.why;
    *config_r = c;
    return load.why ? ERR_INVALID : OK;
}

const char *config_find(void)
{
    const char *path = getenv("MILLRACE_CONFIG");
    if (path && *path)
        return path;
    return access(own_file, R_OK) == 0 ? own_file : system_file;
}

void config_dump(FILE *out, const struct config *c)
{
    const char *section = "";
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        if (strcmp(section, s->section) != 0)
            fprintf(out, "%s[%s]\n", *section ? "\n" : "", s->section);
        section = s->section;
        if (s->type == SETTING_TEXT) {
            const char *value = c ? *(const char *const *)((const char *)c + s->offset) : s->text_default;
            fprintf(out, "; %s\n%s = %s\n", s->help, s->name, value);
        } else {
            int64_t value = c ? *(const int64_t *)((const char *)c + s->offset) : s->number_default;
            fprintf(out, "; %s (%lld to %lld)\n%s = %lld\n", s->help, (long long)s->least, (long long)s->most,
                    s->name, (long long)value);
        }
    }
}

const char *config_password(void *ctx, const char *path)
{
    if (!*path)
        return "";
    char line[512] = "";
    FILE *f = fopen(path, "re");
    bool got = f && fgets(line, sizeof line, f) != NULL;
    if (f)
        fclose(f);
    if (!got) {
        log_error("config.password_read_failed", "file=%s", path);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return talloc_strdup(ctx, line);
}
