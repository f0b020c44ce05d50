#include "doctor/facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "blob/blob.h"
#include "doctor/rights.h"
#include "mariadb/migrate.h"

static const char nginx_files[] = "/etc/millrace/nginx-server.d",
                  nginx_site[] = "/etc/nginx/sites-enabled/millrace";

/* --- paths --- */

static void add_path(void *ctx, struct doctor_facts *f, struct doctor_path p, int access_mode)
{
    struct stat st;
    struct statvfs fs;
    if (!*p.path || stat(p.path, &st) != 0)
        p.problem = *p.path ? errno : ENOENT;
    else if (faccessat(AT_FDCWD, p.path, access_mode, AT_EACCESS) != 0)
        p.problem = errno;
    else
        p.mode = st.st_mode;
    if (!p.problem && S_ISDIR(st.st_mode) && statvfs(p.path, &fs) == 0) {
        p.free_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
        p.total_bytes = (int64_t)(fs.f_blocks * fs.f_frsize);
        p.free_files = (int64_t)fs.f_favail;
        p.total_files = (int64_t)fs.f_files;
    }
    f->paths = talloc_realloc(ctx, f->paths, struct doctor_path, f->paths_n + 1);
    f->paths[f->paths_n++] = p;
}

static void add_secret(void *ctx, struct doctor_facts *f, const char *setting, const char *path)
{
    add_path(ctx, f, (struct doctor_path){.setting = setting, .path = path, .is_secret = true}, R_OK);
}

static void add_directory(void *ctx, struct doctor_facts *f, const char *setting, const char *path,
                          bool is_shared)
{
    add_path(ctx, f, (struct doctor_path){.setting = setting, .path = path, .is_shared = is_shared},
             W_OK | X_OK);
}

static void add_parent(void *ctx, struct doctor_facts *f, const char *setting, const char *path)
{
    char *parent = talloc_strdup(ctx, path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return;
    *slash = '\0';
    add_directory(ctx, f, setting, parent, false);
}

static void look_at_paths(void *ctx, struct doctor_facts *f, enum doctor_program program)
{
    const struct config *c = f->config;
    /* `millrace setup` and tmpfiles.d share files.dir among users; a private stack does not */
    struct stat st;
    bool shares = stat(c->files.dir, &st) == 0 && st.st_uid == 0 && geteuid() != st.st_uid;
    if (program == DOCTOR_ALL || program == DOCTOR_API) {
        add_secret(ctx, f, "api.db_password_file", c->api.db_password_file);
        add_parent(ctx, f, "api.socket", c->api.socket);
    }
    if (program == DOCTOR_ALL || program == DOCTOR_STREAM) {
        add_secret(ctx, f, "stream.db_password_file", c->stream.db_password_file);
        add_parent(ctx, f, "stream.socket", c->stream.socket);
    }
    if (program == DOCTOR_ALL || program == DOCTOR_EXECUTOR) {
        add_secret(ctx, f, "executor.db_password_file", c->executor.db_password_file);
        if (*c->secrets.key_file)
            add_secret(ctx, f, "secrets.key_file", c->secrets.key_file);
        add_directory(ctx, f, "executor.run_dir", c->executor.run_dir, shares);
    }
    if (program != DOCTOR_STREAM && strcmp(c->blob.store, "s3") == 0)
        add_secret(ctx, f, "blob.secret_file", c->blob.secret_file);
    if (program != DOCTOR_STREAM)
        add_directory(ctx, f, "files.dir", c->files.dir, shares);
    if (program == DOCTOR_ALL)
        add_secret(ctx, f, "admin.db_password_file", c->admin.db_password_file);
}

/* --- the kernel --- */

/* The first line of a file; NULL if it cannot be read. */
static char *first_line(void *ctx, const char *path)
{
    char line[1024] = "";
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    return talloc_strdup(ctx, line);
}

/* Whether anybody listens where executors ask for runners. */
static void look_at_runner_socket(void *ctx, struct doctor_facts *f)
{
    const char *path = f->config->executor.runner_socket;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (*path && (answers || errno != EACCES))
        doctor_add_value(ctx, f, "runner.socket", answers ? "answers" : strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* Whether millrace-runner.service, if it has been started, has control groups for workspaces
 * (runner/command_groups.h). */
static void look_at_command_groups(void *ctx, struct doctor_facts *f)
{
    static const char unit[] = "/sys/fs/cgroup/millrace_commands.slice/millrace-runner.service";
    if (access(unit, F_OK) != 0)
        return;
    bool found = access(talloc_asprintf(ctx, "%s/starting", unit), F_OK) == 0;
    doctor_add_value(ctx, f, "runner.groups", found ? "found" : "missing");
}

static void look_at_kernel(void *ctx, struct doctor_facts *f, bool runs_skills)
{
    static const char *const names[] = {"net/core/somaxconn", "user/max_user_namespaces",
                                        "kernel/unprivileged_userns_clone",
                                        "kernel/apparmor_restrict_unprivileged_userns"};
    for (size_t i = 0; i < (runs_skills ? sizeof names / sizeof names[0] : 1); i++) {
        char *name = talloc_asprintf(ctx, "host.%s", names[i]);
        for (char *at = name; *at; at++)
            *at = *at == '/' ? '.' : *at;
        doctor_add_value(ctx, f, name, first_line(ctx, talloc_asprintf(ctx, "/proc/sys/%s", names[i])));
    }
    if (!runs_skills)
        return;
    const char *memory = first_line(ctx, "/proc/meminfo");
    if (memory && strncmp(memory, "MemTotal:", 9) == 0)
        doctor_add_value(ctx, f, "host.memory_kb", talloc_asprintf(ctx, "%lld", atoll(memory + 9)));
    bool found = access("/usr/bin/bwrap", X_OK) == 0 || access("/usr/local/bin/bwrap", X_OK) == 0;
    doctor_add_value(ctx, f, "host.bwrap", found ? "found" : "missing");
    doctor_add_value(ctx, f, "host.cgroup_controllers", first_line(ctx, "/sys/fs/cgroup/cgroup.controllers"));
    look_at_command_groups(ctx, f);
}

/* --- certificates --- */

static void add_certificate(void *ctx, struct doctor_facts *f, const char *path)
{
    struct doctor_certificate c = {.path = talloc_strdup(ctx, path)};
    FILE *file = fopen(path, "re");
    X509 *x = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    int days, seconds;
    if (x && ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x))) {
        c.is_readable = true;
        c.left_s = (int64_t)days * 86400 + seconds;
    }
    X509_free(x);
    if (file)
        fclose(file);
    f->certificates = talloc_realloc(ctx, f->certificates, struct doctor_certificate, f->certificates_n + 1);
    f->certificates[f->certificates_n++] = c;
}

/* Every `ssl_certificate "PATH";` of a file of nginx. */
static void add_certificates_of(void *ctx, struct doctor_facts *f, const char *path)
{
    char line[1024], name[512];
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, " ssl_certificate \"%511[^\"]\"", name) == 1)
            add_certificate(ctx, f, name);
    }
    fclose(file);
}

static void look_at_certificates(void *ctx, struct doctor_facts *f)
{
    DIR *dir = opendir(nginx_files);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.')
            add_certificates_of(ctx, f, talloc_asprintf(ctx, "%s/%s", nginx_files, e->d_name));
    }
    closedir(dir);
}

void doctor_look_at_host(void *ctx, struct doctor_facts *f, enum doctor_program program)
{
    look_at_paths(ctx, f, program);
    look_at_kernel(ctx, f, program == DOCTOR_ALL || program == DOCTOR_EXECUTOR);
    if (program == DOCTOR_ALL)
        look_at_certificates(ctx, f);
    if (program == DOCTOR_EXECUTOR)
        look_at_runner_socket(ctx, f);
}

/* --- MariaDB --- */

static void look_at_variables(void *ctx, struct doctor_facts *f, struct db *db)
{
    struct db_rows *rows;
    int64_t before_ms = clock_wall_ms();
    if (db_run(db, ctx, SQL_DOCTOR_VARIABLES, NULL, 0, &rows) != OK)
        return;
    int64_t host_ms = before_ms + (clock_wall_ms() - before_ms) / 2;
    f->mariadb_answers = true;
    for (size_t i = 0; i < rows->count; i++) {
        const char *name = db_str(rows, i, DOCTOR_VARIABLES_NAME),
                   *value = db_str(rows, i, DOCTOR_VARIABLES_VALUE);
        if (name && value && strcmp(name, "now_ms") == 0)
            f->mariadb_ahead_ms = atoll(value) - host_ms;
        else if (name)
            doctor_add_value(ctx, f, talloc_asprintf(ctx, "mariadb.%s", name), value);
    }
}

static void look_at_schema(void *ctx, struct doctor_facts *f, struct db *db)
{
    struct db_rows *rows;
    f->schema_of_build = sql_migrations[sql_migration_count - 1].name;
    if (db_run(db, ctx, SQL_MIGRATION_LIST, NULL, 0, &rows) != OK)
        return;
    for (size_t i = 0; i < rows->count; i++) {
        if (!db_cell(rows, i, MIGRATION_LIST_APPLIED_MS)->is_null)
            f->schema = db_str(rows, i, MIGRATION_LIST_NAME);
    }
}

static void look_at_executors(void *ctx, struct doctor_facts *f, struct db *db)
{
    struct db_rows *rows;
    if (db_run(db, ctx, SQL_OPERATOR_EXECUTORS, NULL, 0, &rows) != OK)
        return;
    f->knows_executors = true;
    for (size_t i = 0; i < rows->count; i++) {
        bool is_alive = db_int(rows, i, OPERATOR_EXECUTORS_IS_ALIVE);
        f->executors_alive += is_alive;
        f->executors_lost += !is_alive;
    }
}

static void look_at_rights_of(void *ctx, struct doctor_facts *f, const char *program, const char *user,
                              const char *password_file)
{
    struct db_rows *rows;
    struct rights have = {0};
    if (*password_file && access(password_file, R_OK) != 0)
        return;
    const struct db_settings settings = {.socket = f->config->database.socket,
                                         .name = f->config->database.name,
                                         .user = user,
                                         .password = config_password(ctx, password_file)};
    struct db *db = settings.password ? db_new(ctx, &settings) : NULL;
    if (!db || db_ping(db) != OK || db_run(db, ctx, SQL_DOCTOR_RIGHTS, NULL, 0, &rows) != OK) {
        talloc_free(db);
        return;
    }
    for (size_t i = 0; i < rows->count; i++)
        rights_add(ctx, &have, db_str(rows, i, DOCTOR_RIGHTS_LINE), settings.name);
    talloc_free(db);
    f->rights = talloc_realloc(ctx, f->rights, struct doctor_rights, f->rights_n + 1);
    f->rights[f->rights_n++] =
        (struct doctor_rights){program, user, rights_missing(ctx, &have, program, grants, grants_count)};
}

void doctor_look_at_rights(void *ctx, struct doctor_facts *f, enum doctor_program program)
{
    const struct config *c = f->config;
    if (program == DOCTOR_ALL || program == DOCTOR_API)
        look_at_rights_of(ctx, f, "api", c->api.db_user, c->api.db_password_file);
    if (program == DOCTOR_ALL || program == DOCTOR_EXECUTOR)
        look_at_rights_of(ctx, f, "executor", c->executor.db_user, c->executor.db_password_file);
    if (program == DOCTOR_ALL || program == DOCTOR_STREAM)
        look_at_rights_of(ctx, f, "stream", c->stream.db_user, c->stream.db_password_file);
}

/* --- Redis --- */

static void look_at_redis(void *ctx, struct doctor_facts *f, struct redis *redis)
{
    struct redis_arg time = redis_text("TIME"), info = redis_text("INFO");
    struct redis_value answer;
    int64_t before_ms = clock_wall_ms();
    if (redis_call(redis, ctx, &time, 1, &answer) != OK)
        return;
    f->redis_answers = true;
    if (answer.kind == REDIS_LIST && answer.count == 2 && answer.items[0].text && answer.items[1].text)
        f->redis_ahead_ms =
            atoll(answer.items[0].text) * 1000 + atoll(answer.items[1].text) / 1000 - before_ms;
    if (redis_call(redis, ctx, &info, 1, &answer) != OK || answer.kind != REDIS_TEXT)
        return;
    static const char *const names[] = {"redis_version",    "role",        "maxmemory",
                                        "maxmemory_policy", "aof_enabled", "aof_last_write_status"};
    char *text = talloc_strndup(ctx, answer.text, answer.size);
    for (char *line; (line = strsep(&text, "\r\n")) != NULL;) {
        size_t size = strcspn(line, ":");
        for (size_t i = 0; line[size] && i < sizeof names / sizeof names[0]; i++) {
            if (strlen(names[i]) == size && memcmp(line, names[i], size) == 0)
                doctor_add_value(ctx, f, talloc_asprintf(ctx, "redis.%s", names[i]), line + size + 1);
        }
    }
}

/* Asks the object store for the name of one object. */
static void look_at_objects(void *ctx, struct doctor_facts *f)
{
    struct object_entry *list;
    size_t n;
    bool more;
    if (strcmp(f->config->blob.store, "s3") != 0)
        return;
    struct blob_store *blobs = blob_store_open_existing(ctx, f->config);
    struct object_store *objects = blobs ? blob_store_objects(blobs) : NULL;
    enum err e = objects ? object_list(objects, ctx, "", 1, &list, &n, &more) : ERR_DENIED;
    doctor_add_value(ctx, f, "objects.answer", e == OK ? "ok" : err_name(e));
}

void doctor_look_at_servers(void *ctx, struct doctor_facts *f, struct db *db, struct redis *redis)
{
    f->asked_servers = true;
    f->statements = SQL_COUNT;
    if (db)
        look_at_variables(ctx, f, db);
    if (f->mariadb_answers) {
        look_at_schema(ctx, f, db);
        look_at_executors(ctx, f, db);
    }
    look_at_redis(ctx, f, redis);
    look_at_objects(ctx, f);
}

/* --- nginx --- */

void doctor_look_at_nginx(void *ctx, struct doctor_facts *f)
{
    char line[512] = "";
    if (access("/usr/sbin/nginx", X_OK) != 0 || access(nginx_site, F_OK) != 0)
        return;
    FILE *out = popen("/usr/sbin/nginx -q -t 2>&1", "re"); /* fixed text: nothing of a user is in it */
    if (!out)
        return;
    if (!fgets(line, sizeof line, out))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (pclose(out) != 0)
        f->nginx_problem = talloc_strdup(ctx, *line ? line : "nginx -t fails");
}
