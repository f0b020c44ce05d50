#include "backup/sums.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct sums {
    FILE *file;
    const char *path;
    int64_t files, bytes;
};

static int sums_destroy(struct sums *sums)
{
    if (sums->file)
        fclose(sums->file);
    return 0;
}

struct sums *sums_new(void *ctx, const char *path)
{
    struct sums *sums = talloc_zero(ctx, struct sums);
    sums->path = talloc_strdup(sums, path);
    sums->file = fopen(path, "wxe");
    talloc_set_destructor(sums, sums_destroy);
    if (!sums->file)
        TALLOC_FREE(sums);
    return sums;
}

void sums_add(struct sums *sums, const char *path, const struct tree_sum *sum)
{
    char hex[TREE_SUM_TEXT + 1];
    sodium_bin2hex(hex, sizeof hex, sum->sha256, TREE_SUM);
    fprintf(sums->file, "%s%s  ", strpbrk(path, "\\\n\r") ? "\\" : "", hex);
    for (const char *p = path; *p; p++) {
        if (*p == '\n')
            fputs("\\n", sums->file);
        else if (*p == '\r')
            fputs("\\r", sums->file);
        else if (*p == '\\')
            fputs("\\\\", sums->file);
        else
            fputc(*p, sums->file);
    }
    fputc('\n', sums->file);
    sums->files++;
    sums->bytes += sum->size;
}

const char *sums_end(void *ctx, struct sums *sums, int64_t *files_r, int64_t *bytes_r)
{
    *files_r = sums->files;
    *bytes_r = sums->bytes;
    bool ok = !ferror(sums->file);
    ok = fclose(sums->file) == 0 && ok;
    sums->file = NULL;
    return ok ? NULL : talloc_asprintf(ctx, "%s: %s", sums->path, strerror(errno));
}

/* Undoes the escapes in place. False: a backslash is followed by anything else. */
static bool unescape(char *text)
{
    char *out = text;
    for (const char *p = text; *p; p++) {
        if (*p != '\\')
            *out++ = *p;
        else if (*++p == 'n')
            *out++ = '\n';
        else if (*p == 'r')
            *out++ = '\r';
        else if (*p == '\\')
            *out++ = '\\';
        else
            return false;
    }
    *out = '\0';
    return true;
}

/* A path that stays below the backup. */
static bool path_is_safe(const char *path)
{
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && strncmp(part, "..", 2) == 0))
            return false;
        part += n;
        if (!*part)
            return true;
    }
}

/* Splits a line without its end. False: it is not one of SHA256SUMS. */
static bool parse_line(char *line, char **path_r, uint8_t sha256[TREE_SUM])
{
    bool escaped = *line == '\\';
    size_t length;
    line += escaped;
    if (strlen(line) < TREE_SUM_TEXT + 3 || strncmp(line + TREE_SUM_TEXT, "  ", 2) != 0 ||
        sodium_hex2bin(sha256, TREE_SUM, line, TREE_SUM_TEXT, NULL, &length, NULL) != 0 || length != TREE_SUM)
        return false;
    *path_r = line + TREE_SUM_TEXT + 2;
    return (!escaped || unescape(*path_r)) && path_is_safe(*path_r);
}

const char *sums_read(void *ctx, const char *path, sums_visitor *each, void *arg)
{
    FILE *f = fopen(path, "re");
    char *line = NULL, *name;
    size_t room = 0;
    int64_t number = 0;
    const char *why = f ? NULL : talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
    for (ssize_t n; f && !why && (n = getline(&line, &room, f)) > 0;) {
        uint8_t sha256[TREE_SUM];
        number++;
        bool whole = line[n - 1] == '\n' && strlen(line) == (size_t)n;
        line[n - 1] = '\0';
        why = whole && parse_line(line, &name, sha256)
                  ? each(arg, name, sha256)
                  : talloc_asprintf(ctx, "%s: line %lld is damaged", path, (long long)number);
    }
    if (f && !why && ferror(f))
        why = talloc_asprintf(ctx, "%s: %s", path, strerror(errno));
    if (f)
        fclose(f);
    free(line);
    return why;
}
