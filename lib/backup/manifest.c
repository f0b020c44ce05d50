#include "backup/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "json/json.h"

enum { DEPTH = 4, BYTES_MAX = 16 * 1024 * 1024 };

/* --- the members, one row each, for writing and for reading --- */

enum kind { TEXT, TEXT_OR_NULL, NUMBER, TIME };
struct member {
    const char *name;
    enum kind kind;
    size_t offset;
};
#define MEMBER(name, kind, field)                                                                            \
    {                                                                                                        \
        name, kind, offsetof(struct manifest, field)                                                         \
    }
static const struct member members[] = {
    MEMBER("millrace", TEXT, millrace),
    MEMBER("server", TEXT, server),
    MEMBER("database", TEXT, database),
    MEMBER("schema", NUMBER, schema),
    MEMBER("began_at", TIME, began_ms),
    MEMBER("copied_at", TIME, copied_ms),
    MEMBER("ended_at", TIME, ended_ms),
    MEMBER("files", NUMBER, files),
    MEMBER("bytes", NUMBER, bytes),
    MEMBER("sums_sha256", TEXT, sums_sha256),
    MEMBER("datadir_owner", TEXT, datadir_owner),
    MEMBER("datadir_group", TEXT, datadir_group),
    MEMBER("files_owner", TEXT, files_owner),
    MEMBER("files_group", TEXT, files_group),
};
static const struct member key_members[] = {
    MEMBER("secrets", TEXT_OR_NULL, secrets_key),
    MEMBER("webhooks", TEXT_OR_NULL, webhooks_key),
};
enum { MEMBERS = sizeof members / sizeof members[0], KEYS = sizeof key_members / sizeof key_members[0] };

static json_object *member_json(const struct manifest *m, const struct member *member)
{
    const char *at = (const char *)m + member->offset;
    char text[CLOCK_TEXT_SIZE];
    if (member->kind == NUMBER)
        return json_object_new_int64(*(const int64_t *)at);
    if (member->kind == TIME)
        return json_object_new_string(clock_text_offset(*(const int64_t *)at, text));
    const char *value = *(const char *const *)at;
    return value ? json_object_new_string(value) : NULL;
}

static void add_members(json_object *o, const struct manifest *m, const struct member *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_object_object_add(o, list[i].name, member_json(m, &list[i]));
}

static bool read_member(void *ctx, json_object *o, const struct member *member, struct manifest *m)
{
    char *at = (char *)m + member->offset;
    json_object *value = json_get(o, member->name);
    const char *text = json_plain(value);
    if (member->kind == NUMBER) {
        *(int64_t *)at = json_object_get_int64(value);
        return json_object_is_type(value, json_type_int) && *(int64_t *)at >= 0;
    }
    if (member->kind == TIME) {
        *(int64_t *)at = text ? clock_parse(text) : -1;
        return *(int64_t *)at >= 0;
    }
    *(const char **)at = talloc_strdup(ctx, text);
    return text || (member->kind == TEXT_OR_NULL && !value);
}

/* --- the whole --- */

static json_object *manifest_json(void *ctx, const struct manifest *m)
{
    json_object *o = json_own(ctx, json_object_new_object()), *keys = json_object_new_object();
    json_object *damaged = json_object_new_array(), *binlog = NULL;
    char mode[8];
    json_object_object_add(o, "format", json_object_new_int(MANIFEST_FORMAT));
    add_members(o, m, members, MEMBERS);
    add_members(keys, m, key_members, KEYS);
    json_object_object_add(o, "keys", keys);
    if (m->binlog_file) {
        binlog = json_object_new_object();
        json_object_object_add(binlog, "file", json_object_new_string(m->binlog_file));
        json_object_object_add(binlog, "position", json_object_new_int64(m->binlog_position));
    }
    json_object_object_add(o, "binlog", binlog);
    snprintf(mode, sizeof mode, "%04o", (unsigned)m->files_mode & 07777);
    json_object_object_add(o, "files_mode", json_object_new_string(mode));
    for (size_t i = 0; i < m->damaged_n; i++)
        json_object_array_add(damaged, json_object_new_string(m->damaged[i]));
    json_object_object_add(o, "damaged", damaged);
    return o;
}

const char *manifest_write(void *ctx, const char *dir, const struct manifest *m)
{
    const char *path = talloc_asprintf(ctx, "%s/" MANIFEST_FILE, dir);
    const char *text = json_object_to_json_string_ext(manifest_json(ctx, m),
                                                      JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                          JSON_C_TO_STRING_NOSLASHESCAPE);
    FILE *f = fopen(path, "wxe");
    bool ok = f && fprintf(f, "%s\n", text) > 0 && fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (f && fclose(f) != 0)
        ok = false;
    return ok ? NULL : talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
}

static bool read_binlog(json_object *o, struct manifest *m)
{
    json_object *position = json_get(o, "position");
    if (!o)
        return true;
    m->binlog_file = talloc_strdup(m, json_get_text(o, "file"));
    m->binlog_position = json_object_get_int64(position);
    return m->binlog_file && json_object_is_type(position, json_type_int) && m->binlog_position > 0;
}

static bool read_mode(json_object *value, int64_t *mode_r)
{
    const char *text = json_plain(value);
    char *end;
    *mode_r = text ? (int64_t)strtoul(text, &end, 8) : 0;
    return text && *text && !*end && *mode_r <= 07777;
}

static bool read_damaged(json_object *list, struct manifest *m)
{
    if (!json_object_is_type(list, json_type_array))
        return false;
    size_t n = json_object_array_length(list);
    m->damaged = talloc_zero_array(m, const char *, n + 1);
    for (; m->damaged_n < n; m->damaged_n++) {
        const char *name = json_plain(json_object_array_get_idx(list, m->damaged_n));
        if (!name)
            return false;
        m->damaged[m->damaged_n] = talloc_strdup(m, name);
    }
    return true;
}

static bool fill(json_object *o, struct manifest *m)
{
    bool ok = read_binlog(json_get(o, "binlog"), m) && read_mode(json_get(o, "files_mode"), &m->files_mode) &&
              read_damaged(json_get(o, "damaged"), m);
    for (size_t i = 0; ok && i < MEMBERS; i++)
        ok = read_member(m, o, &members[i], m);
    for (size_t i = 0; ok && i < KEYS; i++)
        ok = read_member(m, json_get(o, "keys"), &key_members[i], m);
    return ok;
}

/* The whole file, of ctx; NULL if it cannot be read (errno). */
static char *read_text(void *ctx, const char *path, size_t *size_r)
{
    FILE *f = fopen(path, "re");
    char *text = f ? talloc_size(ctx, BYTES_MAX + 1) : NULL;
    *size_r = f ? fread(text, 1, BYTES_MAX, f) : 0;
    if (f && ferror(f))
        TALLOC_FREE(text);
    if (f)
        fclose(f);
    return text;
}

const char *manifest_read(void *ctx, const char *dir, struct manifest **m_r)
{
    const char *path = talloc_asprintf(ctx, "%s/" MANIFEST_FILE, dir), *why;
    size_t size;
    json_object *o;
    const char *text = read_text(ctx, path, &size);
    if (!text && errno == ENOENT)
        return talloc_asprintf(ctx, "%s is no whole backup: it has no " MANIFEST_FILE, dir);
    if (!text)
        return talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
    if (json_parse_tolerant(ctx, text, size, DEPTH, &o, &why) != OK)
        return talloc_asprintf(ctx, "%s is damaged: %s", path, why);
    if (json_object_get_int64(json_get(o, "format")) != MANIFEST_FORMAT)
        return talloc_asprintf(ctx, "%s: this build does not know the format of this backup", path);
    *m_r = talloc_zero(ctx, struct manifest);
    return fill(o, *m_r) ? NULL : talloc_asprintf(ctx, "%s is damaged: a member is missing or wrong", path);
}
