#include "base/field.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The position after the quoted string that begins at p; `end` if it is not closed. */
static const char *skip_quoted(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
    }
    return p < end ? p + 1 : end;
}

/* The position of the first `stop` in [p, end) outside quoted strings; `end` if there is none. */
static const char *find_outside_quotes(const char *p, const char *end, char stop)
{
    while (p < end && *p != stop)
        p = *p == '"' ? skip_quoted(p, end) : p + 1;
    return p;
}

static struct span without_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    return (struct span){p, (size_t)(end - p)};
}

const char *field_next_item(const char *p, struct span *item_r)
{
    const char *end = p + strlen(p);
    while (p < end && (*p == ',' || is_blank(*p)))
        p++;
    if (p == end)
        return NULL;
    const char *stop = find_outside_quotes(p, end, ',');
    *item_r = without_blanks(p, stop);
    return stop;
}

/* The value at [p, end): a token, or a quoted string, whose quotes are removed. NULL: malformed. */
static char *read_value(void *ctx, const char *p, const char *end)
{
    if (p == end || *p != '"')
        return talloc_strndup(ctx, p, (size_t)(end - p));
    char *value = talloc_size(ctx, (size_t)(end - p) + 1), *out = value;
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
            p++;
        *out++ = *p;
    }
    *out = '\0';
    return p + 1 == end ? value : NULL;
}

bool field_next_parameter(void *ctx, struct span *rest, char **name_r, char **value_r)
{
    const char *end = rest->at + rest->size;
    const char *stop = find_outside_quotes(rest->at, end, ';');
    struct span part = without_blanks(rest->at, stop);
    const char *part_end = part.at + part.size;
    const char *equals = find_outside_quotes(part.at, part_end, '=');
    struct span name = without_blanks(part.at, equals);
    if (rest->size == 0)
        return false;
    *rest = stop < end ? (struct span){stop + 1, (size_t)(end - stop) - 1} : (struct span){end, 0};
    *name_r = talloc_strndup(ctx, name.at, name.size);
    *value_r = NULL;
    if (equals == part_end)
        return true;
    struct span value = without_blanks(equals + 1, part_end);
    *value_r = read_value(ctx, value.at, value.at + value.size);
    return *value_r != NULL;
}

/* A weight is 0 or 1 with at most three decimals; -1: malformed. */
static int parse_weight(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n > 5 || (text[0] != '0' && text[0] != '1') || (n > 1 && text[1] != '.') ||
        strspn(text + (n > 1 ? 2 : 1), "0123456789") != n - (n > 1 ? 2 : 1))
        return -1;
    int weight = (text[0] - '0') * 1000;
    for (size_t i = 2, unit = 100; i < n; i++, unit /= 10)
        weight += (text[i] - '0') * (int)unit;
    return weight <= 1000 ? weight : -1;
}

int field_weight(void *ctx, struct span item)
{
    int weight = 1000;
    void *scratch = talloc_new(ctx);
    char *name, *value;
    struct span rest = item;
    while (field_next_parameter(scratch, &rest, &name, &value)) {
        if (strcasecmp(name, "q") == 0)
            weight = value ? parse_weight(value) : -1;
    }
    talloc_free(scratch);
    return weight > 0 ? weight : 0;
}

static bool part_is(const char *at, size_t size, const char *name)
{
    return size == strlen(name) && strncasecmp(at, name, size) == 0;
}

/* How specifically the media range names the type: see struct field_match. */
static int range_specificity(struct span range, const char *type, const char *subtype)
{
    const char *slash = memchr(range.at, '/', range.size);
    if (!slash)
        return 0;
    size_t type_n = (size_t)(slash - range.at), subtype_n = range.size - type_n - 1;
    if (part_is(range.at, type_n, "*"))
        return part_is(slash + 1, subtype_n, "*") ? 1 : 0;
    if (!part_is(range.at, type_n, type))
        return 0;
    return part_is(slash + 1, subtype_n, subtype) ? 3 : part_is(slash + 1, subtype_n, "*") ? 2 : 0;
}

struct field_match field_match_media(void *ctx, const char *list, const char *type, const char *subtype)
{
    struct field_match best = {0};
    struct span item;
    for (const char *p = list; (p = field_next_item(p, &item));) {
        const char *stop = find_outside_quotes(item.at, item.at + item.size, ';');
        int specificity = range_specificity(without_blanks(item.at, stop), type, subtype);
        if (specificity == 0 || specificity < best.specificity)
            continue;
        int weight = field_weight(ctx, item);
        if (specificity > best.specificity || weight > best.weight)
            best = (struct field_match){weight, specificity};
    }
    return best;
}
