#include "schema/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "schema/uri.h"

enum { DOCUMENT_DEPTH_MAX = 128 };

struct registry_entry {
    const char *prefix;
    const char *dir;
};

struct schema_registry {
    struct registry_entry *entries;
    size_t count;
};

struct schema_registry *schema_registry_new(void *ctx)
{
    return talloc_zero(ctx, struct schema_registry);
}

void schema_registry_add(struct schema_registry *registry, const char *prefix, const char *dir)
{
    registry->entries =
        talloc_realloc(registry, registry->entries, struct registry_entry, registry->count + 1);
    registry->entries[registry->count++] =
        (struct registry_entry){talloc_strdup(registry, prefix), talloc_strdup(registry, dir)};
}

/* The entry with the longest prefix that ends at the end of a path segment. */
static const struct registry_entry *find_registry_entry(const struct schema_registry *registry,
                                                        const char *uri)
{
    const struct registry_entry *best = NULL;
    for (size_t i = 0; i < registry->count; i++) {
        const struct registry_entry *entry = &registry->entries[i];
        size_t n = strlen(entry->prefix);
        if (strncmp(uri, entry->prefix, n) != 0)
            continue;
        bool whole = n > 0 && (entry->prefix[n - 1] == '/' || uri[n] == '/' || uri[n] == '\0');
        if (whole && (!best || n > strlen(best->prefix)))
            best = entry;
    }
    return best;
}

/* True if no segment of the path is "..", which would leave the folder. %2e%2e is decoded by now. */
static bool path_stays_inside(const char *path)
{
    for (const char *p = path; *p; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return false;
        p += n;
    }
    return true;
}

static char *read_whole(void *ctx, int fd, size_t *size_r)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > SCHEMA_FILE_MAX)
        return NULL;
    char *text = talloc_size(ctx, (size_t)st.st_size + 1);
    size_t have = 0;
    while (have < (size_t)st.st_size) {
        ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    *size_r = have;
    return text;
}

static enum err load_file(void *ctx, const char *path, json_object **document_r, const char **why_r)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ERR_NOT_FOUND;
    size_t size = 0;
    char *text = read_whole(ctx, fd, &size);
    close(fd);
    if (!text)
        return ERR_NOT_FOUND;
    enum err e = json_parse(ctx, text, size, DOCUMENT_DEPTH_MAX, document_r, why_r);
    talloc_free(text);
    return e;
}

enum err schema_registry_load(void *ctx, const struct schema_registry *registry, const char *uri,
                              json_object **document_r, const char **why_r)
{
    const struct registry_entry *entry = registry ? find_registry_entry(registry, uri) : NULL;
    char *rest = entry ? uri_decode(ctx, uri + strlen(entry->prefix)) : NULL;
    if (!rest || !path_stays_inside(rest))
        return ERR_NOT_FOUND;
    char *path = talloc_asprintf(ctx, "%s/%s", entry->dir, rest);
    enum err e = load_file(ctx, path, document_r, why_r);
    if (e == ERR_NOT_FOUND) /* identifiers often omit the extension of the file */
        e = load_file(ctx, talloc_asprintf(ctx, "%s.json", path), document_r, why_r);
    talloc_free(path);
    return e;
}
