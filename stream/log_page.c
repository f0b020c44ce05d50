#define _GNU_SOURCE /* strcasestr */
#include "stream/log_page.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "stream/sse.h"
#include "json/json.h"

struct log_line {
    struct log_position at;
    int level;
    json_object *members;
    /* as the executor has written it; valid while the page is made */
    struct span raw;
    /* its event in the text, without what ends it */
    size_t begin, end;
};

struct log_page {
    struct log_line *lines;
    size_t n;
    int level_min;
    char *text;
    struct shared_text *whole;
};

/* --- making --- */

void log_position_append(char **out, struct log_position position)
{
    char text[LOG_POSITION_SIZE];
    *out = talloc_asprintf_append_buffer(*out, "id: %s\n\n", log_position_text(position, text));
}

/* Ends the event of an entry's line. */
static void append_end(char **out, struct log_position at, bool is_last)
{
    if (is_last)
        log_position_append(out, at);
    else
        *out = talloc_strdup_append_buffer(*out, "\n");
}

/* -1: what the executor does not write. */
static int level_of(json_object *members)
{
    json_object *level;
    bool has_level = json_object_is_type(members, json_type_object) &&
                     json_object_object_get_ex(members, "level", &level) &&
                     json_object_is_type(level, json_type_string);
    return has_level ? (int)log_level_of(json_object_get_string(level)) : -1;
}

static void add_line(struct log_page *page, struct log_position at, const char *line, size_t size)
{
    json_object *members;
    const char *why;
    if (size <= 2 || *line != '{' ||
        json_parse_tolerant(page, line, size, JSON_DEPTH_MAX, &members, &why) != OK)
        return;
    struct log_line added = {.at = at, .level = level_of(members), .members = members, .raw = {line, size}};
    if (added.level < 0)
        return;
    page->level_min = page->n == 0 || added.level < page->level_min ? added.level : page->level_min;
    page->lines = talloc_realloc(page, page->lines, struct log_line, page->n + 1);
    page->lines[page->n++] = added;
}

static void format_lines(struct log_page *page, size_t from, const char *host)
{
    for (size_t i = from; i < page->n; i++) {
        struct log_line *line = &page->lines[i];
        line->begin = talloc_get_size(page->text) - 1;
        /* the members of the line follow that of its host; a line is an object and not empty */
        page->text =
            talloc_asprintf_append_buffer(page->text, "event: executor.line\ndata: {\"host\":%s,%.*s\n", host,
                                          (int)(line->raw.size - 1), line->raw.at + 1);
        line->end = talloc_get_size(page->text) - 1;
        append_end(&page->text, line->at, i == page->n - 1);
    }
}

static void add_entry(struct log_page *page, const struct log_entry *entry)
{
    const char *line = entry->lines, *end = entry->lines + entry->size;
    json_object *host = json_object_new_string(entry->host);
    size_t from = page->n;
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t size = (size_t)((stop ? stop : end) - line);
        add_line(page, entry->at, line, size);
        line += size + 1;
    }
    format_lines(page, from, json_object_to_json_string_ext(host, JSON_C_TO_STRING_PLAIN));
    json_object_put(host);
}

struct log_page *log_page_new(void *ctx, const struct log_entry *entries, size_t n, bool packs)
{
    struct log_page *page = talloc_zero(ctx, struct log_page);
    page->text = talloc_strdup(page, "");
    for (size_t i = 0; i < n; i++)
        add_entry(page, &entries[i]);
    page->whole = shared_text_new(page, page->text, talloc_get_size(page->text) - 1, packs);
    return page;
}

/* --- reading --- */

bool log_request_filters(const struct internal_request *request)
{
    return *request->log_text || id_is_set(&request->log_workspace) || id_is_set(&request->log_execution);
}

const struct shared_text *log_page_whole(const struct log_page *page, const struct internal_request *request,
                                         struct log_position after)
{
    bool is_whole = page->n > 0 && request->level <= page->level_min && !log_request_filters(request);
    return is_whole && log_position_compare(page->lines[0].at, after) > 0 ? page->whole : NULL;
}

struct log_position log_page_last(const struct log_page *page)
{
    return page->lines[page->n - 1].at;
}

static bool member_is_id(json_object *members, const char *name, const id *wanted)
{
    json_object *value;
    return !id_is_set(wanted) || (json_object_object_get_ex(members, name, &value) &&
                                  json_object_is_type(value, json_type_string) &&
                                  strcmp(json_object_get_string(value), wanted->text) == 0);
}

static bool has_text(json_object *members, const char *text)
{
    json_object_object_foreach(members, name, value)
    {
        (void)name;
        /* NULL: the value is null */
        const char *value_text = json_object_get_string(value);
        if (value_text && strcasestr(value_text, text))
            return true;
    }
    return false;
}

static bool line_matches(const struct internal_request *request, const struct log_line *line)
{
    return line->level >= request->level &&
           member_is_id(line->members, "workspace", &request->log_workspace) &&
           member_is_id(line->members, "execution", &request->log_execution) &&
           (!*request->log_text || has_text(line->members, request->log_text));
}

void log_page_append(char **out, const struct log_page *page, const struct internal_request *request,
                     struct log_position after, struct log_position *told_r)
{
    const struct log_line *open = NULL; /* its event has no end yet */
    for (size_t i = 0; i < page->n; i++) {
        const struct log_line *line = &page->lines[i];
        if (log_position_compare(line->at, after) <= 0 || !line_matches(request, line))
            continue;
        if (open)
            append_end(out, open->at, log_position_compare(open->at, line->at) != 0);
        *out = talloc_strndup_append_buffer(*out, page->text + line->begin, line->end - line->begin);
        open = line;
    }
    if (!open)
        return;
    append_end(out, open->at, true);
    *told_r = open->at;
}
