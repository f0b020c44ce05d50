#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "doctor/doctor.h"

enum {
    /* Runs of a host that other hosts see this much later or earlier confuse who reads lists and logs. */
    CLOCK_MAX_MS = 500,
    /* what runs need of max_connections beside the workers: command line, backup, monitoring */
    CONNECTIONS_SPARE = 20,
    CERTIFICATE_SOON_S = 21 * 86400,
    BACKLOG = 1024
};
static const int64_t PACKET_MIN = 16 << 20, REDO_LOG_MIN = 512 << 20, SPACE_ERROR = 256 << 20,
                     SPACE_WARNING = (int64_t)2 << 30;

const char *doctor_value(const struct doctor_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->values_n; i++) {
        if (strcmp(facts->values[i].name, name) == 0)
            return facts->values[i].value;
    }
    return NULL;
}

void doctor_add_value(void *ctx, struct doctor_facts *facts, const char *name, const char *value)
{
    if (!value)
        return;
    facts->values = talloc_realloc(ctx, facts->values, struct doctor_value, facts->values_n + 1);
    facts->values[facts->values_n++] =
        (struct doctor_value){talloc_strdup(ctx, name), talloc_strdup(ctx, value)};
}

/* --- helpers of the checks: a check returns a new text of ctx, or NULL if all is well --- */

typedef char *doctor_check(void *ctx, const struct doctor_facts *f);

static bool is_number(const struct doctor_facts *f, const char *name, int64_t *number_r)
{
    const char *text = doctor_value(f, name);
    char *end;
    if (!text || !*text)
        return false;
    *number_r = strtoll(text, &end, 10);
    return !*end;
}

static char *below(void *ctx, const struct doctor_facts *f, const char *name, int64_t least)
{
    int64_t number;
    if (!is_number(f, name, &number) || number >= least)
        return NULL;
    return talloc_asprintf(ctx, "%s is %lld, and must be at least %lld", name, (long long)number,
                           (long long)least);
}

/* `allowed`: values separated by |; letters of either case */
static char *other_than(void *ctx, const struct doctor_facts *f, const char *name, const char *allowed)
{
    const char *value = doctor_value(f, name);
    if (!value)
        return NULL;
    size_t size = strlen(value);
    for (const char *at = allowed; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        if (strcspn(at, "|") == size && strncasecmp(at, value, size) == 0)
            return NULL;
    }
    return talloc_asprintf(ctx, "%s is %s", name, *value ? value : "empty");
}

static char *add_line(void *ctx, char *lines, const char *line)
{
    return lines ? talloc_asprintf_append_buffer(lines, "; %s", line) : talloc_strdup(ctx, line);
}

static bool has_galera(const struct doctor_facts *f)
{
    const char *on = doctor_value(f, "mariadb.wsrep_on");
    return on && strcasecmp(on, "ON") == 0;
}

/* --- settings --- */

static char *check_uploads(void *ctx, const struct doctor_facts *f)
{
    if (*f->config->api.uploads_socket)
        return NULL;
    return talloc_strdup(ctx, "api.uploads_socket is empty: slow uploads occupy the workers of the API");
}

static char *check_sockets(void *ctx, const struct doctor_facts *f)
{
    const struct config *c = f->config;
    const char *a = c->api.socket, *u = c->api.uploads_socket, *s = c->stream.socket;
    if (strcmp(a, u) != 0 && strcmp(a, s) != 0 && strcmp(u, s) != 0)
        return NULL;
    return talloc_strdup(ctx, "two of api.socket, api.uploads_socket and stream.socket are the same path");
}

static char *check_stall(void *ctx, const struct doctor_facts *f)
{
    const struct config *c = f->config;
    int64_t least = 2 * (c->database.timeout_s + c->database.settle_s);
    if (c->executor.stall_abort_s >= least)
        return NULL;
    return talloc_asprintf(ctx,
                           "executor.stall_abort_s is %lld: a thread that waits for MariaDB may take twice "
                           "database.timeout_s + database.settle_s, %lld s",
                           (long long)c->executor.stall_abort_s, (long long)least);
}

static char *check_file_limits(void *ctx, const struct doctor_facts *f)
{
    if (f->config->files.principal_max_bytes >= f->config->files.file_max_bytes)
        return NULL;
    return talloc_strdup(
        ctx, "files.principal_max_bytes is below files.file_max_bytes: no file of that size can be stored");
}

static char *check_memory(void *ctx, const struct doctor_facts *f)
{
    int64_t total_kb, want_kb = f->config->executor.processes * f->config->executor.max_waiting_mib * 1024;
    if (!is_number(f, "host.memory_kb", &total_kb) || want_kb <= total_kb / 2)
        return NULL;
    return talloc_asprintf(
        ctx, "executor.processes × executor.max_waiting_mib is %lld MiB, more than half of the memory",
        (long long)want_kb / 1024);
}

/* --- files --- */

static char *check_paths(void *ctx, const struct doctor_facts *f)
{
    char *lines = NULL;
    for (size_t i = 0; i < f->paths_n; i++) {
        const struct doctor_path *p = &f->paths[i];
        if (p->problem)
            lines = add_line(ctx, lines,
                             talloc_asprintf(ctx, "%s: %s: %s", p->setting, *p->path ? p->path : "not set",
                                             strerror(p->problem)));
    }
    return lines;
}

static char *check_secrets(void *ctx, const struct doctor_facts *f)
{
    char *lines = NULL;
    for (size_t i = 0; i < f->paths_n; i++) {
        const struct doctor_path *p = &f->paths[i];
        if (p->is_secret && !p->problem && (p->mode & 0007))
            lines = add_line(ctx, lines, talloc_asprintf(ctx, "%s has mode %04o", p->path, p->mode & 07777));
    }
    return lines;
}

static char *check_shared(void *ctx, const struct doctor_facts *f)
{
    char *lines = NULL;
    for (size_t i = 0; i < f->paths_n; i++) {
        const struct doctor_path *p = &f->paths[i];
        if (p->is_shared && !p->problem && !(p->mode & 02000))
            lines = add_line(ctx, lines, talloc_asprintf(ctx, "%s has mode %04o", p->path, p->mode & 07777));
    }
    return lines;
}

/* Fewer than `bytes` or than one in `part` of the files that the file system can hold. */
static char *short_of_space(void *ctx, const struct doctor_facts *f, int64_t bytes, int64_t part)
{
    char *lines = NULL;
    for (size_t i = 0; i < f->paths_n; i++) {
        const struct doctor_path *p = &f->paths[i];
        bool few_bytes = p->total_bytes > 0 && p->free_bytes < bytes;
        bool few_files = p->total_files > 0 && p->free_files < p->total_files / part;
        if (few_bytes || few_files)
            lines = add_line(ctx, lines,
                             talloc_asprintf(ctx, "%s: %lld MiB and %lld files are free", p->path,
                                             (long long)(p->free_bytes >> 20), (long long)p->free_files));
    }
    return lines;
}

static char *check_space_low(void *ctx, const struct doctor_facts *f)
{
    return short_of_space(ctx, f, SPACE_ERROR, 100) ? NULL : short_of_space(ctx, f, SPACE_WARNING, 20);
}

static char *check_space_out(void *ctx, const struct doctor_facts *f)
{
    return short_of_space(ctx, f, SPACE_ERROR, 100);
}

static char *certificates(void *ctx, const struct doctor_facts *f, int64_t from_s, int64_t to_s)
{
    char *lines = NULL;
    for (size_t i = 0; i < f->certificates_n; i++) {
        const struct doctor_certificate *c = &f->certificates[i];
        if (c->is_readable && c->left_s >= from_s && c->left_s < to_s)
            lines = add_line(
                ctx, lines,
                talloc_asprintf(ctx, "%s expires in %lld days", c->path, (long long)c->left_s / 86400));
    }
    return lines;
}

static char *check_certificate_soon(void *ctx, const struct doctor_facts *f)
{
    return certificates(ctx, f, 0, CERTIFICATE_SOON_S);
}

static char *check_certificate_expired(void *ctx, const struct doctor_facts *f)
{
    char *lines = NULL;
    for (size_t i = 0; i < f->certificates_n; i++) {
        const struct doctor_certificate *c = &f->certificates[i];
        if (!c->is_readable || c->left_s < 0)
            lines = add_line(ctx, lines,
                             talloc_asprintf(ctx, "%s %s", c->path,
                                             c->is_readable ? "has expired" : "is no readable certificate"));
    }
    return lines;
}

static char *check_nginx(void *ctx, const struct doctor_facts *f)
{
    return f->nginx_problem ? talloc_strdup(ctx, f->nginx_problem) : NULL;
}

/* --- the host --- */

static char *check_backlog(void *ctx, const struct doctor_facts *f)
{
    return below(ctx, f, "host.net.core.somaxconn", BACKLOG);
}

static char *check_bubblewrap(void *ctx, const struct doctor_facts *f)
{
    return other_than(ctx, f, "host.bwrap", "found");
}

static char *check_namespaces(void *ctx, const struct doctor_facts *f)
{
    char *text = below(ctx, f, "host.user.max_user_namespaces", 1);
    return text ? text : other_than(ctx, f, "host.kernel.unprivileged_userns_clone", "1");
}

static char *check_apparmor(void *ctx, const struct doctor_facts *f)
{
    return other_than(ctx, f, "host.kernel.apparmor_restrict_unprivileged_userns", "0");
}

static char *check_cgroups(void *ctx, const struct doctor_facts *f)
{
    static const char *const needed[] = {" cpu ", " memory ", " pids "};
    const char *controllers = doctor_value(f, "host.cgroup_controllers");
    char *words = controllers ? talloc_asprintf(ctx, " %s ", controllers) : NULL;
    size_t found = 0;
    for (size_t i = 0; words && i < sizeof needed / sizeof needed[0]; i++)
        found += strstr(words, needed[i]) != NULL;
    if (!words || found == sizeof needed / sizeof needed[0])
        return NULL;
    return talloc_asprintf(ctx, "cgroup v2 has these controllers only: %s",
                           *controllers ? controllers : "none");
}

static char *check_processors(void *ctx, const struct doctor_facts *f)
{
    const char *socket = doctor_value(f, "runner.socket");
    if (!socket || strcmp(socket, "answers") == 0)
        return NULL;
    return talloc_asprintf(ctx,
                           "executors start the commands of skills themselves, among the services, whose "
                           "requests then wait for them: %s: %s",
                           f->config->executor.runner_socket, socket);
}

static char *check_command_groups(void *ctx, const struct doctor_facts *f)
{
    const char *groups = doctor_value(f, "runner.groups");
    return !groups || strcmp(groups, "found") == 0
               ? NULL
               : talloc_strdup(ctx, "commands of different workspaces share the processors by the number of "
                                    "their processes, so one can starve the others");
}

/* --- MariaDB --- */

static char *check_mariadb(void *ctx, const struct doctor_facts *f)
{
    if (!f->asked_servers || f->mariadb_answers)
        return NULL;
    return talloc_asprintf(ctx, "MariaDB does not answer at %s as %s", f->config->database.socket,
                           f->config->admin.db_user);
}

/* Compares versions such as 10.11.5-MariaDB. */
static bool is_older(const char *have, int major, int minor, int patch)
{
    int number[3] = {0};
    char *end;
    for (int i = 0; i < 3; i++) {
        number[i] = (int)strtol(have, &end, 10);
        have = *end == '.' ? end + 1 : end;
    }
    if (number[0] != major)
        return number[0] < major;
    return number[1] != minor ? number[1] < minor : number[2] < patch;
}

static char *check_mariadb_version(void *ctx, const struct doctor_facts *f)
{
    const char *have = doctor_value(f, "mariadb.version");
    return have && is_older(have, 10, 11, 5) ? talloc_asprintf(ctx, "its version is %s", have) : NULL;
}

static char *check_durability(void *ctx, const struct doctor_facts *f)
{
    return other_than(ctx, f, "mariadb.innodb_flush_log_at_trx_commit", "1");
}

static char *check_binlog(void *ctx, const struct doctor_facts *f)
{
    const char *on = doctor_value(f, "mariadb.log_bin");
    if (!on || (strcasecmp(on, "ON") != 0 && strcmp(on, "1") != 0) || has_galera(f))
        return NULL;
    return other_than(ctx, f, "mariadb.sync_binlog", "1");
}

static char *check_isolation(void *ctx, const struct doctor_facts *f)
{
    return other_than(ctx, f, "mariadb.session_tx_isolation", "READ-COMMITTED");
}

static char *check_sql_mode(void *ctx, const struct doctor_facts *f)
{
    const char *mode = doctor_value(f, "mariadb.session_sql_mode");
    if (!mode || strstr(mode, "STRICT_TRANS_TABLES") || strstr(mode, "STRICT_ALL_TABLES"))
        return NULL;
    return talloc_asprintf(ctx, "sql_mode is %s", *mode ? mode : "empty");
}

static char *check_redo_log(void *ctx, const struct doctor_facts *f)
{
    return below(ctx, f, "mariadb.innodb_log_file_size", REDO_LOG_MIN);
}

static char *check_packet(void *ctx, const struct doctor_facts *f)
{
    return below(ctx, f, "mariadb.max_allowed_packet", PACKET_MIN);
}

static int64_t connections(const struct config *c)
{
    int64_t uploads = *c->api.uploads_socket ? c->api.uploads_workers : 0;
    return c->api.workers + uploads + c->executor.processes + CONNECTIONS_SPARE;
}

static char *check_connections(void *ctx, const struct doctor_facts *f)
{
    return below(ctx, f, "mariadb.max_connections", connections(f->config));
}

static char *check_statements(void *ctx, const struct doctor_facts *f)
{
    return below(ctx, f, "mariadb.max_prepared_stmt_count", connections(f->config) * f->statements);
}

static char *check_read_only(void *ctx, const struct doctor_facts *f)
{
    return other_than(ctx, f, "mariadb.read_only", "OFF|0");
}

/* UNIX_TIMESTAMP(NOW()) is one hour wrong, or ambiguous, when the server's zone changes its clocks. */
static char *check_time_zone(void *ctx, const struct doctor_facts *f)
{
    const char *zone = doctor_value(f, "mariadb.time_zone");
    if (!zone || strcasecmp(zone, "SYSTEM") != 0)
        return other_than(ctx, f, "mariadb.time_zone", "+00:00|UTC|Etc/UTC");
    return other_than(ctx, f, "mariadb.system_time_zone", "UTC|GMT|Etc/UTC");
}

static char *check_schema(void *ctx, const struct doctor_facts *f)
{
    if (!f->mariadb_answers || !f->schema_of_build ||
        (f->schema && strcmp(f->schema, f->schema_of_build) == 0))
        return NULL;
    return talloc_asprintf(ctx, "the schema is %s, and this build needs %s",
                           f->schema ? f->schema : "missing", f->schema_of_build);
}

static char *check_rights(void *ctx, const struct doctor_facts *f)
{
    char *lines = NULL;
    for (size_t i = 0; i < f->rights_n; i++) {
        const struct doctor_rights *r = &f->rights[i];
        if (r->missing)
            lines = add_line(ctx, lines,
                             talloc_asprintf(ctx, "%s, the user of millrace-%s, lacks %s", r->user,
                                             r->program, r->missing));
    }
    return lines;
}

static char *clock_differs(void *ctx, bool answers, int64_t ahead_ms, const char *server)
{
    if (!answers || (ahead_ms >= -CLOCK_MAX_MS && ahead_ms <= CLOCK_MAX_MS))
        return NULL;
    return talloc_asprintf(ctx, "the clock of %s is %lld ms %s that of this host", server,
                           (long long)llabs(ahead_ms), ahead_ms > 0 ? "ahead of" : "behind");
}

static char *check_mariadb_clock(void *ctx, const struct doctor_facts *f)
{
    return clock_differs(ctx, f->mariadb_answers, f->mariadb_ahead_ms, "MariaDB");
}

static char *check_executors(void *ctx, const struct doctor_facts *f)
{
    return f->knows_executors && f->executors_alive == 0 ? talloc_strdup(ctx, "no executor is alive") : NULL;
}

static char *check_leases(void *ctx, const struct doctor_facts *f)
{
    if (!f->knows_executors || f->executors_lost == 0)
        return NULL;
    return talloc_asprintf(ctx, "%lld executor processes have lost their lease within the last day",
                           (long long)f->executors_lost);
}

/* --- Galera --- */

static char *check_galera_state(void *ctx, const struct doctor_facts *f)
{
    if (!has_galera(f))
        return NULL;
    char *text = other_than(ctx, f, "mariadb.wsrep_cluster_status", "Primary");
    text = text ? text : other_than(ctx, f, "mariadb.wsrep_ready", "ON");
    return text ? text : other_than(ctx, f, "mariadb.wsrep_local_state", "4");
}

static char *check_galera_format(void *ctx, const struct doctor_facts *f)
{
    return has_galera(f) ? other_than(ctx, f, "mariadb.binlog_format", "ROW") : NULL;
}

static char *check_galera_flow(void *ctx, const struct doctor_facts *f)
{
    const char *paused = doctor_value(f, "mariadb.wsrep_flow_control_paused");
    if (!has_galera(f) || !paused || strtod(paused, NULL) <= 0.1)
        return NULL;
    return talloc_asprintf(ctx, "flow control has paused replication for %s of the time", paused);
}

static char *check_galera_timeouts(void *ctx, const struct doctor_facts *f)
{
    const char *options = doctor_value(f, "mariadb.wsrep_provider_options");
    const char *at = has_galera(f) && options ? strstr(options, "evs.suspect_timeout = PT") : NULL;
    if (!at)
        return NULL;
    double suspect_s = strtod(at + strlen("evs.suspect_timeout = PT"), NULL);
    if (suspect_s + 1 < (double)f->config->database.timeout_s)
        return NULL;
    return talloc_asprintf(ctx,
                           "evs.suspect_timeout is %g s: every commit waits about a second longer than that "
                           "when a node dies, and database.timeout_s is %lld",
                           suspect_s, (long long)f->config->database.timeout_s);
}

/* --- Redis --- */

static char *check_redis(void *ctx, const struct doctor_facts *f)
{
    if (!f->asked_servers || f->redis_answers)
        return NULL;
    return talloc_asprintf(ctx, "Redis does not answer at %s", f->config->redis.socket);
}

static char *check_redis_version(void *ctx, const struct doctor_facts *f)
{
    const char *have = doctor_value(f, "redis.redis_version");
    return have && is_older(have, 7, 0, 0) ? talloc_asprintf(ctx, "its version is %s", have) : NULL;
}

static char *check_redis_role(void *ctx, const struct doctor_facts *f)
{
    return other_than(ctx, f, "redis.role", "master");
}

static char *check_redis_policy(void *ctx, const struct doctor_facts *f)
{
    int64_t limit;
    if (is_number(f, "redis.maxmemory", &limit) && limit == 0)
        return talloc_strdup(ctx, "redis.maxmemory is not limited");
    return other_than(ctx, f, "redis.maxmemory_policy", "allkeys-lru|allkeys-lfu");
}

static char *check_redis_persistence(void *ctx, const struct doctor_facts *f)
{
    char *text = other_than(ctx, f, "redis.aof_enabled", "1");
    return text ? text : other_than(ctx, f, "redis.aof_last_write_status", "ok");
}

static char *check_redis_clock(void *ctx, const struct doctor_facts *f)
{
    return clock_differs(ctx, f->redis_answers, f->redis_ahead_ms, "Redis");
}

static char *check_objects(void *ctx, const struct doctor_facts *f)
{
    const char *answer = doctor_value(f, "objects.answer");
    if (!answer || strcmp(answer, "ok") == 0)
        return NULL;
    return talloc_asprintf(ctx, "the object store at %s does not list the bucket %s: %s",
                           *f->config->blob.socket ? f->config->blob.socket : f->config->blob.endpoint,
                           f->config->blob.bucket, answer);
}

/* --- the table --- */

static const struct {
    const char *name;
    enum doctor_level level;
    doctor_check *find;
    const char *advice;
} checks[] = {
    {"settings.sockets", DOCTOR_ERROR, check_sockets, "give each of them a path of its own"},
    {"settings.uploads", DOCTOR_WARNING, check_uploads,
     "set api.uploads_socket = /run/millrace/uploads.sock, and run `millrace setup`"},
    {"settings.stall", DOCTOR_ERROR, check_stall, "raise executor.stall_abort_s, or lower the others"},
    {"settings.file_limits", DOCTOR_WARNING, check_file_limits, "raise files.principal_max_bytes"},
    {"settings.memory", DOCTOR_WARNING, check_memory, "lower executor.max_waiting_mib or executor.processes"},
    {"files.access", DOCTOR_ERROR, check_paths,
     "run `millrace setup`, or systemd-tmpfiles --create for directories; "
     "the owners are listed in operations.md, Users and permissions"},
    {"files.secrets", DOCTOR_ERROR, check_secrets, "run chmod 0400 on these files"},
    {"files.shared", DOCTOR_ERROR, check_shared,
     "run `millrace setup` or systemd-tmpfiles --create: without the setgid bit, API and executor cannot "
     "share files"},
    {"files.space_out", DOCTOR_ERROR, check_space_out, "free space, or lower the retention of workspaces"},
    {"files.space_low", DOCTOR_WARNING, check_space_low, "free space, or lower the retention of workspaces"},
    {"objects.answers", DOCTOR_ERROR, check_objects,
     "start the store, or correct the section [blob]; the lines objects.away and objects.refused of the log "
     "tell what it answered"},
    {"nginx.configuration", DOCTOR_ERROR, check_nginx, "correct it, and test it by nginx -t"},
    {"tls.expired", DOCTOR_ERROR, check_certificate_expired,
     "renew the certificate and reload nginx; delete one that `millrace setup` made, and run that again"},
    {"tls.expires", DOCTOR_WARNING, check_certificate_soon,
     "renew the certificate and reload nginx; delete one that `millrace setup` made, and run that again"},
    {"host.backlog", DOCTOR_WARNING, check_backlog, "run sysctl -w net.core.somaxconn=4096"},
    {"sandbox.bubblewrap", DOCTOR_ERROR, check_bubblewrap, "install the package bubblewrap"},
    {"sandbox.user_namespaces", DOCTOR_ERROR, check_namespaces,
     "run sysctl -w user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1: without user "
     "namespaces no skill can run"},
    {"sandbox.apparmor", DOCTOR_ERROR, check_apparmor,
     "run sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or load an AppArmor profile that allows "
     "userns to /usr/bin/bwrap"},
    {"sandbox.cgroups", DOCTOR_WARNING, check_cgroups,
     "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1): the limits of the units need cpu, "
     "memory and pids"},
    {"sandbox.processors", DOCTOR_WARNING, check_processors,
     "start millrace-runner.socket, or in containers the service `runner`; if commands shall run among the "
     "services, set executor.runner_socket to nothing"},
    {"sandbox.workspaces", DOCTOR_WARNING, check_command_groups,
     "see runner.no_groups in the log of millrace-runner; this needs Linux 5.16, systemd 251 and the "
     "controller cpu of cgroup v2"},
    {"mariadb.answers", DOCTOR_ERROR, check_mariadb,
     "start MariaDB; check database.socket, admin.db_user and admin.db_password_file"},
    {"mariadb.version", DOCTOR_ERROR, check_mariadb_version, "use MariaDB 10.11.5 or later"},
    {"mariadb.durability", DOCTOR_ERROR, check_durability,
     "set innodb_flush_log_at_trx_commit = 1: otherwise runs that were accepted are lost in a crash"},
    {"mariadb.binlog", DOCTOR_WARNING, check_binlog,
     "set sync_binlog = 1: otherwise a crash leaves the binary log behind the tables"},
    {"mariadb.isolation", DOCTOR_ERROR, check_isolation, "set transaction_isolation = READ-COMMITTED"},
    {"mariadb.sql_mode", DOCTOR_ERROR, check_sql_mode, "add STRICT_TRANS_TABLES to sql_mode"},
    {"mariadb.max_allowed_packet", DOCTOR_ERROR, check_packet, "set max_allowed_packet = 64M"},
    {"mariadb.redo_log", DOCTOR_WARNING, check_redo_log,
     "set innodb_log_file_size = 1G: when the log is full, every transaction waits until pages are written"},
    {"mariadb.max_connections", DOCTOR_ERROR, check_connections,
     "raise max_connections, for each host that uses this MariaDB"},
    {"mariadb.max_prepared_stmt_count", DOCTOR_ERROR, check_statements,
     "set max_prepared_stmt_count = 200000"},
    {"mariadb.read_only", DOCTOR_ERROR, check_read_only,
     "find out why the server is read-only: a replica, or a switch that has not ended"},
    {"mariadb.time_zone", DOCTOR_WARNING, check_time_zone, "set default_time_zone = '+00:00'"},
    {"mariadb.clock", DOCTOR_ERROR, check_mariadb_clock, "let both hosts take their time from NTP"},
    {"mariadb.schema", DOCTOR_ERROR, check_schema,
     "run `millrace setup`, or `millrace migrate` and then grants.sql"},
    {"mariadb.rights", DOCTOR_ERROR, check_rights,
     "run `millrace setup`, or `millrace migrate` and then grants.sql as root of MariaDB: statements that "
     "need "
     "these rights fail, and requests with them"},
    {"galera.state", DOCTOR_ERROR, check_galera_state, "this node cannot write: see `millrace cluster show`"},
    {"galera.binlog_format", DOCTOR_ERROR, check_galera_format, "set binlog_format = ROW"},
    {"galera.flow_control", DOCTOR_WARNING, check_galera_flow, "find the node that applies slowly"},
    {"galera.timeouts", DOCTOR_ERROR, check_galera_timeouts,
     "lower evs.suspect_timeout, or raise database.timeout_s above it by at least 2"},
    {"redis.answers", DOCTOR_WARNING, check_redis, "start Redis; check redis.socket and the group redis"},
    {"redis.version", DOCTOR_WARNING, check_redis_version, "use Redis 7.0 or later"},
    {"redis.role", DOCTOR_ERROR, check_redis_role, "connect to the master"},
    {"redis.policy", DOCTOR_WARNING, check_redis_policy,
     "set maxmemory 256mb and maxmemory-policy allkeys-lru: all data are copies or hints"},
    {"redis.persistence", DOCTOR_WARNING, check_redis_persistence,
     "set appendonly yes, and check the disk of Redis"},
    {"redis.clock", DOCTOR_WARNING, check_redis_clock, "let both hosts take their time from NTP"},
    {"executors.alive", DOCTOR_WARNING, check_executors, "start millrace-executor: queued runs wait"},
    {"executors.leases", DOCTOR_WARNING, check_leases,
     "search executor.lost and executor.fenced in the logs: a process died, hung, or could not reach "
     "MariaDB"},
};
enum { CHECKS = sizeof checks / sizeof checks[0] };

size_t doctor_judge(void *ctx, const struct doctor_facts *facts, struct doctor_finding **findings_r)
{
    struct doctor_finding *list = talloc_zero_array(ctx, struct doctor_finding, CHECKS);
    for (size_t i = 0; i < CHECKS; i++) {
        const char *found = checks[i].find(ctx, facts);
        list[i] = (struct doctor_finding){checks[i].name, found ? checks[i].level : DOCTOR_OK, found,
                                          found ? checks[i].advice : NULL};
    }
    *findings_r = list;
    return CHECKS;
}
