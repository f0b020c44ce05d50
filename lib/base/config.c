#include "base/config.h"

#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"

enum setting_type { SETTING_TEXT, SETTING_NUMBER };

struct setting {
    const char *section;
    const char *name;
    enum setting_type type;
    size_t offset;
    const char *text_default;
    int64_t number_default, least, most;
    const char *help;
};

#define TEXT_ROW(section, name, preset, help)                                                                \
    {                                                                                                        \
#section, #name, SETTING_TEXT, offsetof(struct config, section.name), preset, 0, 0, 0, help          \
    }
#define NUMBER_ROW(section, name, preset, least, most, help)                                                 \
    {                                                                                                        \
#section, #name, SETTING_NUMBER, offsetof(struct config, section.name), NULL, preset, least, most,   \
            help                                                                                             \
    }

static const struct setting settings[] = {
    TEXT_ROW(database, socket, "/run/mysqld/mysqld.sock", "MariaDB's Unix socket"),
    TEXT_ROW(database, name, "millrace", "the database's name"),
    TEXT_ROW(redis, socket, "/run/redis/redis.sock", "Redis's Unix socket"),
    TEXT_ROW(redis, prefix, "millrace:", "what every key and channel begins with"),
    TEXT_ROW(api, socket, "/run/millrace/api.sock", "where nginx finds the FastCGI pool"),
    TEXT_ROW(api, uploads_socket, "", "a second pool for uploads; empty: none"),
    NUMBER_ROW(api, workers, 32, 1, 64, "processes of the pool; each serves one request at a time"),
    NUMBER_ROW(api, uploads_workers, 4, 1, 64, "processes of the uploads pool"),
    NUMBER_ROW(api, recycle_requests, 100000, 0, 1000000000,
               "a worker is replaced after so many requests; 0: never"),
    NUMBER_ROW(api, rate_limit_per_minute, 600, 1, 100000000,
               "requests a workspace may make, where it has no limit of its own"),
    NUMBER_ROW(api, queue_ms, 100, 10, 5000,
               "where requests wait longer for a worker, and go on to, the late ones are refused"),
    NUMBER_ROW(api, grace_s, 30, 1, 3600, "how long a stopping worker may take for the request in hand"),
    TEXT_ROW(api, db_user, "millrace_api", "MariaDB user of the API"),
    TEXT_ROW(api, db_password_file, "", "file whose first line is its password"),
    TEXT_ROW(api, log_file, "", "empty: stderr"),
    NUMBER_ROW(executor, processes, 2, 1, 64, "executor processes under one master"),
    NUMBER_ROW(executor, max_active, 64, 1, 10000, "runs in hand of one process; waiting ones do not count"),
    NUMBER_ROW(executor, max_waiting, 10000, 1, 1000000,
               "runs of one process that wait for a time or a child"),
    NUMBER_ROW(executor, max_losses, 3, 1, 100,
               "a run whose executor was lost so often fails with executor_lost"),
    NUMBER_ROW(executor, grace_s, 10, 0, 3600,
               "how long steps in hand may take at a stop; the rest is handed back"),
    TEXT_ROW(executor, outgoing_allow, "",
             "private addresses that http steps may reach: networks, comma-separated"),
    TEXT_ROW(executor, run_dir, "/var/lib/millrace/runs", "folder of the folders of skill runs"),
    NUMBER_ROW(executor, sandbox_uid_base, 200000, 1000, 4000000000,
               "first of the uids that runners get, one a slot, when started by root"),
    TEXT_ROW(executor, sandbox_accept_missing, "",
             "parts of the sandbox that this kernel lacks and you accept to lack, comma-separated"),
    TEXT_ROW(executor, db_user, "millrace_executor", "MariaDB user of the executor"),
    TEXT_ROW(executor, db_password_file, "", "file whose first line is its password"),
    TEXT_ROW(executor, log_file, "", "empty: stderr"),
    TEXT_ROW(stream, socket, "/run/millrace/stream.sock", "where nginx finds the event daemon"),
    NUMBER_ROW(stream, max_streams, 20000, 1, 1000000, "open streams and waiters"),
    TEXT_ROW(stream, db_user, "millrace_api", "MariaDB user of the event daemon"),
    TEXT_ROW(stream, db_password_file, "", "file whose first line is its password"),
    TEXT_ROW(stream, log_file, "", "empty: stderr"),
    TEXT_ROW(files, dir, "/var/lib/millrace/files", "folder of uploaded files, skills and artifacts"),
    NUMBER_ROW(files, file_max_bytes, 1073741824, 1, 1099511627776, "largest file that may be uploaded"),
    NUMBER_ROW(files, principal_max_bytes, 10737418240, 1, 1099511627776,
               "all files of one principal together"),
    TEXT_ROW(secrets, key_file, "", "file of 32 random bytes, base64, that secrets are sealed with"),
    TEXT_ROW(admin, db_user, "millrace_admin", "MariaDB user of the `millrace` command"),
    TEXT_ROW(admin, db_password_file, "", "file whose first line is its password"),
    TEXT_ROW(log, level, "info", "debug, info, warn or error"),
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
        return NULL;
    }
    char *end;
    long long number = strtoll(value, &end, 10);
    if (!*value || *end)
        return "is not a whole number";
    if (number < s->least || number > s->most)
        return talloc_asprintf(c, "is not within %lld and %lld", (long long)s->least, (long long)s->most);
    setting_set_number(c, s, number);
    return NULL;
}

static int config_on_entry(void *user, const char *section, const char *name, const char *value)
{
    struct load *load = user;
    const char *wrong = "is not a setting";
    for (int i = 0; i < SETTINGS; i++) {
        if (strcmp(settings[i].section, section) == 0 && strcmp(settings[i].name, name) == 0)
            wrong = setting_set(load->config, &settings[i], value);
    }
    if (wrong && !load->why)
        load->why =
            talloc_asprintf(load->config, "%s: [%s] %s = %s %s", load->path, section, name, value, wrong);
    return wrong == NULL;
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
    int line = ini_parse(path, config_on_entry, &load);
    if (line != 0 && !load.why)
        load.why = line < 0 ? talloc_asprintf(c, "%s: cannot be read", path)
                            : talloc_asprintf(c, "%s: line %d is not understood", path, line);
    *why_r = load.why;
    *config_r = c;
    return load.why ? ERR_INVALID : OK;
}

const char *config_find(void)
{
    const char *path = getenv("MILLRACE_CONFIG");
    if (path && *path)
        return path;
    return access("run/millrace.ini", R_OK) == 0 ? "run/millrace.ini" : "/etc/millrace/millrace.ini";
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
        log_error("config.password_unreadable", "file=%s", path);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return talloc_strdup(ctx, line);
}
