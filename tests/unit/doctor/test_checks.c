#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <talloc.h>

#include "doctor/doctor.h"

/* A healthy host: the defaults of the settings, and values that a set up server has. */
static struct config healthy_config(void)
{
    struct config c = {0};
    c.database.socket = "/run/mysqld/mysqld.sock";
    c.database.timeout_s = 3;
    c.database.settle_s = 2;
    c.redis.socket = "/run/redis.sock";
    c.api.socket = "/run/a.sock";
    c.api.uploads_socket = "/run/u.sock";
    c.api.workers = 32;
    c.api.uploads_workers = 4;
    c.stream.socket = "/run/s.sock";
    c.executor.processes = 2;
    c.executor.max_waiting_mib = 1024;
    c.executor.stall_abort_s = 60;
    c.files.file_max_bytes = 1;
    c.files.principal_max_bytes = 10;
    c.admin.db_user = "millrace_admin";
    c.blob.endpoint = "http://objects";
    c.blob.socket = "";
    c.blob.bucket = "millrace";
    return c;
}

static const struct doctor_value healthy_values[] = {
    {"host.net.core.somaxconn", "4096"},
    {"host.user.max_user_namespaces", "95000"},
    {"host.kernel.unprivileged_userns_clone", "1"},
    {"host.memory_kb", "8000000"},
    {"host.bwrap", "found"},
    {"host.cgroup_controllers", "cpuset cpu io memory pids"},
    {"runner.socket", "answers"},
    {"runner.groups", "found"},
    {"mariadb.version", "10.11.19-MariaDB-0+deb12u1"},
    {"mariadb.innodb_flush_log_at_trx_commit", "1"},
    {"mariadb.log_bin", "OFF"},
    {"mariadb.sync_binlog", "0"},
    {"mariadb.max_connections", "151"},
    {"mariadb.max_prepared_stmt_count", "200000"},
    {"mariadb.max_allowed_packet", "16777216"},
    {"mariadb.innodb_log_file_size", "1073741824"},
    {"mariadb.read_only", "OFF"},
    {"mariadb.time_zone", "SYSTEM"},
    {"mariadb.system_time_zone", "UTC"},
    {"mariadb.session_tx_isolation", "READ-COMMITTED"},
    {"mariadb.session_sql_mode", "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"},
    {"mariadb.binlog_format", "MIXED"},
    {"mariadb.wsrep_on", "OFF"},
    {"redis.redis_version", "7.0.15"},
    {"redis.role", "master"},
    {"redis.maxmemory", "268435456"},
    {"redis.maxmemory_policy", "allkeys-lru"},
    {"redis.aof_enabled", "1"},
    {"redis.aof_last_write_status", "ok"},
};

struct patient {
    void *ctx;
    struct config config;
    struct doctor_facts facts;
};

static struct patient *patient_new(void)
{
    struct patient *p = talloc_zero(NULL, struct patient);
    p->ctx = p;
    p->config = healthy_config();
    p->facts = (struct doctor_facts){.config = &p->config,
                                     .asked_servers = true,
                                     .mariadb_answers = true,
                                     .redis_answers = true,
                                     .schema = "0021_x",
                                     .schema_of_build = "0021_x",
                                     .statements = 300,
                                     .knows_executors = true,
                                     .executors_alive = 2};
    for (size_t i = 0; i < sizeof healthy_values / sizeof healthy_values[0]; i++)
        doctor_add_value(p, &p->facts, healthy_values[i].name, healthy_values[i].value);
    return p;
}

static void set_value(struct patient *p, const char *name, const char *value)
{
    for (size_t i = 0; i < p->facts.values_n; i++) {
        if (strcmp(p->facts.values[i].name, name) == 0) {
            p->facts.values[i].value = value;
            return;
        }
    }
    doctor_add_value(p, &p->facts, name, value);
}

/* The names of the checks that found something, separated by spaces; each must say what to do. */
static char *found(struct patient *p)
{
    struct doctor_finding *list;
    size_t n = doctor_judge(p, &p->facts, &list);
    char *names = talloc_strdup(p, "");
    for (size_t i = 0; i < n; i++) {
        if (list[i].level == DOCTOR_OK)
            continue;
        cr_expect(list[i].found && *list[i].found && list[i].advice && *list[i].advice, "%s", list[i].check);
        names = talloc_asprintf_append_buffer(names, "%s%s", *names ? " " : "", list[i].check);
    }
    return names;
}

Test(doctor, finds_nothing_on_a_healthy_host)
{
    struct patient *p = patient_new();
    cr_expect_str_eq(found(p), "");
    talloc_free(p);
}

Test(doctor, finds_nothing_where_nothing_is_known)
{
    struct patient *p = patient_new();
    p->facts = (struct doctor_facts){.config = &p->config};
    cr_expect_str_eq(found(p), "");
    talloc_free(p);
}

/* One value is changed: exactly this check must find it. */
static const struct {
    const char *name, *value, *check;
} bad_values[] = {
    {"host.net.core.somaxconn", "128", "host.backlog"},
    {"host.user.max_user_namespaces", "0", "sandbox.user_namespaces"},
    {"host.kernel.unprivileged_userns_clone", "0", "sandbox.user_namespaces"},
    {"host.kernel.apparmor_restrict_unprivileged_userns", "1", "sandbox.apparmor"},
    {"runner.socket", "No such file or directory", "sandbox.processors"},
    {"runner.groups", "missing", "sandbox.workspaces"},
    {"runner.groups", NULL, ""},
    {"host.cgroup_controllers", "cpuset memory pids", "sandbox.cgroups"},
    {"host.kernel.apparmor_restrict_unprivileged_userns", "0", ""},
    {"host.memory_kb", "4000000", "settings.memory"},
    {"host.bwrap", "missing", "sandbox.bubblewrap"},
    {"host.cgroup_controllers", "cpu", "sandbox.cgroups"},
    {"host.cgroup_controllers", "", "sandbox.cgroups"},
    {"mariadb.version", "10.11.4-MariaDB", "mariadb.version"},
    {"mariadb.version", "10.6.20-MariaDB", "mariadb.version"},
    {"mariadb.version", "11.4.2-MariaDB", ""},
    {"mariadb.innodb_flush_log_at_trx_commit", "2", "mariadb.durability"},
    {"mariadb.innodb_flush_log_at_trx_commit", "0", "mariadb.durability"},
    {"mariadb.log_bin", "ON", "mariadb.binlog"},
    {"mariadb.max_connections", "57", "mariadb.max_connections"},
    {"mariadb.max_connections", "58", ""},
    {"mariadb.max_prepared_stmt_count", "16382", "mariadb.max_prepared_stmt_count"},
    {"mariadb.max_allowed_packet", "1048576", "mariadb.max_allowed_packet"},
    {"mariadb.innodb_log_file_size", "100663296", "mariadb.redo_log"},
    {"mariadb.read_only", "ON", "mariadb.read_only"},
    {"mariadb.read_only", "1", "mariadb.read_only"},
    {"mariadb.time_zone", "Europe/Berlin", "mariadb.time_zone"},
    {"mariadb.time_zone", "+00:00", ""},
    {"mariadb.system_time_zone", "CET", "mariadb.time_zone"},
    {"mariadb.session_tx_isolation", "REPEATABLE-READ", "mariadb.isolation"},
    {"mariadb.session_sql_mode", "", "mariadb.sql_mode"},
    {"mariadb.session_sql_mode", "NO_ENGINE_SUBSTITUTION", "mariadb.sql_mode"},
    {"redis.redis_version", "6.2.7", "redis.version"},
    {"redis.role", "slave", "redis.role"},
    {"redis.maxmemory", "0", "redis.policy"},
    {"redis.maxmemory_policy", "noeviction", "redis.policy"},
    {"redis.maxmemory_policy", "volatile-lru", "redis.policy"},
    {"redis.aof_enabled", "0", "redis.persistence"},
    {"redis.aof_last_write_status", "err", "redis.persistence"},
};

Test(doctor, finds_each_bad_value)
{
    for (size_t i = 0; i < sizeof bad_values / sizeof bad_values[0]; i++) {
        struct patient *p = patient_new();
        set_value(p, bad_values[i].name, bad_values[i].value);
        cr_expect_str_eq(found(p), bad_values[i].check, "%s = %s: %s", bad_values[i].name,
                         bad_values[i].value, found(p));
        talloc_free(p);
    }
}

static const struct {
    const char *name, *value, *check;
} bad_galera[] = {
    {"mariadb.wsrep_cluster_status", "non-Primary", "galera.state"},
    {"mariadb.wsrep_ready", "OFF", "galera.state"},
    {"mariadb.wsrep_local_state", "2", "galera.state"},
    {"mariadb.binlog_format", "MIXED", "galera.binlog_format"},
    {"mariadb.wsrep_flow_control_paused", "0.35", "galera.flow_control"},
    {"mariadb.wsrep_provider_options", "evs.suspect_timeout = PT5S; gcache.size = 1", "galera.timeouts"},
    {"mariadb.wsrep_provider_options", "evs.suspect_timeout = PT1.5S; gcache.size = 1", ""},
    {"mariadb.wsrep_local_state", "4", ""},
};

Test(doctor, finds_each_bad_value_of_galera)
{
    for (size_t i = 0; i < sizeof bad_galera / sizeof bad_galera[0]; i++) {
        struct patient *p = patient_new();
        set_value(p, "mariadb.wsrep_on", "ON");
        set_value(p, "mariadb.binlog_format", "ROW");
        set_value(p, bad_galera[i].name, bad_galera[i].value);
        cr_expect_str_eq(found(p), bad_galera[i].check, "%s = %s: %s", bad_galera[i].name,
                         bad_galera[i].value, found(p));
        talloc_free(p);
    }
}

/* --- settings and facts that are no texts --- */

static void same_socket(struct patient *p)
{
    p->config.stream.socket = p->config.api.socket;
}
static void no_uploads(struct patient *p)
{
    p->config.api.uploads_socket = "";
}
static void short_stall(struct patient *p)
{
    p->config.executor.stall_abort_s = 9;
}
static void small_total(struct patient *p)
{
    p->config.files.principal_max_bytes = 0;
}
static void no_mariadb(struct patient *p)
{
    p->facts.mariadb_answers = false;
}
static void no_redis(struct patient *p)
{
    p->facts.redis_answers = false;
}
static void old_schema(struct patient *p)
{
    p->facts.schema = "0020_w";
}
static void no_schema(struct patient *p)
{
    p->facts.schema = NULL;
}
static void rights(struct patient *p, const char *missing)
{
    p->facts.rights = talloc_zero(p, struct doctor_rights);
    *p->facts.rights = (struct doctor_rights){"api", "millrace_api", missing};
    p->facts.rights_n = 1;
}
static void lacks_rights(struct patient *p)
{
    rights(p, "INSERT on accounts");
}
static void has_rights(struct patient *p)
{
    rights(p, NULL);
}
static void mariadb_ahead(struct patient *p)
{
    p->facts.mariadb_ahead_ms = 501;
}
static void mariadb_behind(struct patient *p)
{
    p->facts.mariadb_ahead_ms = -60000;
}
static void redis_ahead(struct patient *p)
{
    p->facts.redis_ahead_ms = 60000;
}
static void no_executor(struct patient *p)
{
    p->facts.executors_alive = 0;
}
static void lost_executor(struct patient *p)
{
    p->facts.executors_lost = 1;
}
static void bad_nginx(struct patient *p)
{
    p->facts.nginx_problem = "unknown directive";
}
static void add_path(struct patient *p, struct doctor_path path)
{
    p->facts.paths = talloc_zero(p, struct doctor_path);
    *p->facts.paths = path;
    p->facts.paths_n = 1;
}
static void silent_objects(struct patient *p)
{
    doctor_add_value(p, &p->facts, "objects.answer", "unavailable");
}
static void good_objects(struct patient *p)
{
    doctor_add_value(p, &p->facts, "objects.answer", "ok");
}
static void missing_path(struct patient *p)
{
    add_path(p, (struct doctor_path){"files.dir", "/x", .problem = ENOENT});
}
static void readable_secret(struct patient *p)
{
    add_path(p, (struct doctor_path){"secrets.key_file", "/x", .is_secret = true, .mode = 0100404});
}
static void unshared(struct patient *p)
{
    add_path(p, (struct doctor_path){"files.dir", "/x", .is_shared = true, .mode = 040775});
}
static void shared(struct patient *p)
{
    add_path(p, (struct doctor_path){"files.dir", "/x", .is_shared = true, .mode = 042775});
}
static void space(struct patient *p, int64_t free_bytes, int64_t free_files)
{
    add_path(p, (struct doctor_path){"files.dir", "/x", .free_bytes = free_bytes,
                                     .total_bytes = (int64_t)100 << 30, .free_files = free_files,
                                     .total_files = 1000});
}
static void full_disk(struct patient *p)
{
    space(p, 1 << 20, 900);
}
static void no_files_left(struct patient *p)
{
    space(p, (int64_t)50 << 30, 3);
}
static void nearly_full_disk(struct patient *p)
{
    space(p, (int64_t)1 << 30, 900);
}
static void roomy_disk(struct patient *p)
{
    space(p, (int64_t)50 << 30, 900);
}
static void certificate(struct patient *p, int64_t left_s, bool is_readable)
{
    p->facts.certificates = talloc_zero(p, struct doctor_certificate);
    *p->facts.certificates = (struct doctor_certificate){"/x.crt", left_s, is_readable};
    p->facts.certificates_n = 1;
}
static void expired(struct patient *p)
{
    certificate(p, -1, true);
}
static void unreadable_certificate(struct patient *p)
{
    certificate(p, 0, false);
}
static void expires_soon(struct patient *p)
{
    certificate(p, 86400, true);
}
static void expires_late(struct patient *p)
{
    certificate(p, 90 * 86400, true);
}

static const struct {
    void (*harm)(struct patient *p);
    const char *check;
} harms[] = {
    {same_socket, "settings.sockets"},
    {no_uploads, "settings.uploads"},
    {short_stall, "settings.stall"},
    {small_total, "settings.file_limits"},
    {no_mariadb, "mariadb.answers"},
    {no_redis, "redis.answers"},
    {old_schema, "mariadb.schema"},
    {no_schema, "mariadb.schema"},
    {lacks_rights, "mariadb.rights"},
    {has_rights, ""},
    {mariadb_ahead, "mariadb.clock"},
    {mariadb_behind, "mariadb.clock"},
    {redis_ahead, "redis.clock"},
    {no_executor, "executors.alive"},
    {lost_executor, "executors.leases"},
    {bad_nginx, "nginx.configuration"},
    {missing_path, "files.access"},
    {silent_objects, "objects.answers"},
    {good_objects, ""},
    {readable_secret, "files.secrets"},
    {unshared, "files.shared"},
    {shared, ""},
    {full_disk, "files.space_out"},
    {no_files_left, "files.space_out"},
    {nearly_full_disk, "files.space_low"},
    {roomy_disk, ""},
    {expired, "tls.expired"},
    {unreadable_certificate, "tls.expired"},
    {expires_soon, "tls.expires"},
    {expires_late, ""},
};

Test(doctor, finds_each_harm)
{
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        struct patient *p = patient_new();
        harms[i].harm(p);
        cr_expect_str_eq(found(p), harms[i].check, "harm %zu: %s instead of %s", i, found(p), harms[i].check);
        talloc_free(p);
    }
}

/* No row of the table is without a test that makes it find something. */
Test(doctor, every_check_has_a_case)
{
    struct patient *p = patient_new();
    struct doctor_finding *list;
    size_t n = doctor_judge(p, &p->facts, &list);
    for (size_t i = 0; i < n; i++) {
        bool is_tested = false;
        for (size_t j = 0; j < sizeof bad_values / sizeof bad_values[0]; j++)
            is_tested |= strcmp(bad_values[j].check, list[i].check) == 0;
        for (size_t j = 0; j < sizeof bad_galera / sizeof bad_galera[0]; j++)
            is_tested |= strcmp(bad_galera[j].check, list[i].check) == 0;
        for (size_t j = 0; j < sizeof harms / sizeof harms[0]; j++)
            is_tested |= strcmp(harms[j].check, list[i].check) == 0;
        cr_expect(is_tested, "%s", list[i].check);
    }
    talloc_free(p);
}
