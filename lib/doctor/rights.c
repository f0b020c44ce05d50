#include "doctor/rights.h"

#include <stdbool.h>
#include <string.h>
#include <talloc.h>

enum { SHOWN_MAX = 5 };

/* --- a line of SHOW GRANTS --- */

static bool skip(const char **at, const char *text)
{
    size_t size = strlen(text);
    if (strncmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

/* A name in backquotes, which are doubled in it, or a bare one (sql_quote_show_create = 0). NULL: there is
 * none. */
static char *read_name(void *ctx, const char **at)
{
    if (!skip(at, "`")) {
        size_t size = strcspn(*at, " .,()");
        char *bare = size > 0 ? talloc_strndup(ctx, *at, size) : NULL;
        *at += size;
        return bare;
    }
    char *name = talloc_size(ctx, strlen(*at) + 1);
    size_t size = 0;
    for (const char *c = *at; *c; c++) {
        if (*c == '`' && *++c != '`') {
            name[size] = '\0';
            *at = c;
            return name;
        }
        name[size++] = *c;
    }
    return NULL;
}

static void add_right(void *ctx, struct rights *r, const char *name, const char *column)
{
    r->list = talloc_realloc(ctx, r->list, struct right, r->n + 1);
    r->list[r->n++] = (struct right){name, NULL, column};
}

/* "(`a`, `b`)" */
static bool read_columns(void *ctx, struct rights *r, const char **at, const char *right)
{
    do {
        const char *column = read_name(ctx, at);
        if (!column)
            return false;
        add_right(ctx, r, right, column);
    } while (skip(at, ", "));
    return skip(at, ")");
}

/* "SELECT, UPDATE (`a`, `b`) ON ": the tables of the added rights are not known yet. */
static bool read_rights(void *ctx, struct rights *r, const char **at)
{
    do {
        const char *on = strstr(*at, " ON ");
        size_t size = strcspn(*at, ",(");
        if (on && on < *at + size)
            size = (size_t)(on - *at);
        const char *end = *at + size;
        size_t name_size = size - (size > 0 && *end == '(' && end[-1] == ' ');
        const char *name = talloc_strndup(ctx, *at, name_size);
        *at = end;
        if (!skip(at, "("))
            add_right(ctx, r, name, NULL);
        else if (!read_columns(ctx, r, at, name))
            return false;
    } while (skip(at, ", "));
    return skip(at, " ON ");
}

/* A pattern of LIKE, as the names of databases in rights are. */
static bool is_like(const char *text, const char *pattern)
{
    for (; *pattern && *pattern != '%'; pattern++, text++) {
        bool is_any = *pattern == '_';
        if (*pattern == '\\' && pattern[1])
            pattern++;
        if (!*text || (!is_any && *text != *pattern))
            return false;
    }
    if (!*pattern)
        return !*text;
    for (;; text++) {
        if (is_like(text, pattern + 1))
            return true;
        if (!*text)
            return false;
    }
}

/* "*.*", "`millrace`.*" or "`millrace`.`t`". False: it is not in the database, or no table. */
static bool read_tables(void *ctx, const char **at, const char *database, const char **table_r)
{
    *table_r = NULL;
    if (skip(at, "*.*"))
        return true;
    const char *name = read_name(ctx, at);
    if (!name || !skip(at, "."))
        return false;
    if (skip(at, "*"))
        return is_like(database, name);
    *table_r = read_name(ctx, at);
    return *table_r && strcmp(name, database) == 0;
}

void rights_add(void *ctx, struct rights *rights, const char *line, const char *database)
{
    size_t first = rights->n;
    const char *table;
    if (!skip(&line, "GRANT ") || !read_rights(ctx, rights, &line) ||
        !read_tables(ctx, &line, database, &table) || !skip(&line, " TO ")) {
        rights->n = first;
        return;
    }
    for (size_t i = first; i < rights->n; i++)
        rights->list[i].table = table;
}

/* --- what is missing --- */

static bool has(const struct rights *have, const struct grant_row *row)
{
    for (size_t i = 0; i < have->n; i++) {
        const struct right *r = &have->list[i];
        bool is_right = strcmp(r->name, row->right) == 0 || strcmp(r->name, "ALL PRIVILEGES") == 0;
        if (is_right && (!r->table || strcmp(r->table, row->table) == 0) &&
            (!r->column || strcmp(r->column, row->column) == 0))
            return true;
    }
    return false;
}

char *rights_missing(void *ctx, const struct rights *have, const char *program, const struct grant_row *rows,
                     size_t rows_n)
{
    char *text = NULL;
    size_t missing = 0;
    for (size_t i = 0; i < rows_n; i++) {
        const struct grant_row *row = &rows[i];
        if (strcmp(row->program, program) != 0 || has(have, row) || ++missing > SHOWN_MAX)
            continue;
        const char *columns = *row->column ? talloc_asprintf(ctx, " (%s)", row->column) : "";
        text = talloc_asprintf_append_buffer(text ? text : talloc_strdup(ctx, ""), "%s%s%s on %s",
                                             text ? ", " : "", row->right, columns, row->table);
    }
    return missing > SHOWN_MAX ? talloc_asprintf_append_buffer(text, " and %zu more", missing - SHOWN_MAX)
                               : text;
}
