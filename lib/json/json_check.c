#include "json/json_check.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "json/json_own.h"

struct json_scan {
    void *ctx;
    const char *start, *at, *end;
    struct json_check *check;
    /* the first half of a surrogate pair in the string that was scanned last; NULL: none */
    const char *half;
};

/* --- numbers --- */

/* Notes that the number with the index numbers - 1 is "-0". */
static void note_minus_zero(struct json_scan *s)
{
    struct json_check *c = s->check;
    c->minus_zeros = talloc_realloc(s->ctx, c->minus_zeros, size_t, c->minus_zeros_n + 1);
    c->minus_zeros[c->minus_zeros_n++] = c->numbers - 1;
}

/* True if the integer token at [p, end) fits 64 bits, signed or unsigned. */
static bool integer_fits(const char *p, const char *end)
{
    bool negative = *p == '-';
    if (negative)
        p++;
    const char *limit = negative ? "9223372036854775808" : "18446744073709551615";
    size_t n = (size_t)(end - p);
    size_t limit_n = strlen(limit);
    return n < limit_n || (n == limit_n && memcmp(p, limit, n) <= 0);
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* True if [p, end) is a number of RFC 8259, section 6; json-c accepts more, such as `1.`. */
static bool is_number_token(const char *p, const char *end)
{
    p += p < end && *p == '-';
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return false;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    return p == end;
}

/* Says why json-c would change the value of the number [p, end), which is no integer; NULL: it would not. */
static const char *check_fraction(const char *p, const char *end)
{
    enum { LONGEST = 400 };
    char number[LONGEST + 1];
    if (end - p > LONGEST)
        return "a number is too long";
    memcpy(number, p, (size_t)(end - p));
    number[end - p] = '\0';
    return isinf(strtod(number, NULL)) ? "a number is out of range" : NULL;
}

/* json-c has accepted the text before, so the number ends at the first character that cannot belong to one.
 */
static const char *check_number(struct json_scan *s)
{
    const char *p = s->at;
    bool integer = true;
    for (; s->at < s->end && *s->at && strchr("+-.eE0123456789", *s->at); s->at++)
        integer = integer && !strchr(".eE", *s->at);
    s->check->numbers++;
    if (!is_number_token(p, s->at))
        return "malformed number";
    if (!integer)
        return check_fraction(p, s->at);
    if (s->at - p == 2 && memcmp(p, "-0", 2) == 0)
        note_minus_zero(s);
    return integer_fits(p, s->at) ? NULL : "an integer does not fit in 64 bits";
}

/* --- strings --- */

static void scan_space(struct json_scan *s)
{
    while (s->at < s->end && *s->at && strchr(" \t\r\n", *s->at))
        s->at++;
}

/* The value of the escape \uXXXX at p, -1 if there is none. */
static int unicode_escape(const char *p, const char *end)
{
    char digits[5] = {0};
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    memcpy(digits, p + 2, 4);
    char *stop;
    long value = strtol(digits, &stop, 16);
    return *stop ? -1 : (int)value;
}

/* Moves behind the escape at s->at. False if it is half of a surrogate pair. */
static bool scan_escape(struct json_scan *s, bool *nul)
{
    int unit = unicode_escape(s->at, s->end);
    if (unit < 0) {
        s->at += 2;
        return true;
    }
    *nul = *nul || unit == 0;
    s->at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    int low = unicode_escape(s->at, s->end);
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return false;
    s->at += 6;
    return true;
}

/* Scans the string that begins at s->at; *is_name_r: it is the name of a member. */
static const char *check_string(struct json_scan *s, bool *is_name_r)
{
    bool nul = false;
    *is_name_r = false;
    s->half = NULL;
    for (s->at++; s->at < s->end && *s->at != '"';) {
        const char *p = s->at;
        if ((unsigned char)*p < 0x20)
            return "unescaped control character in a string";
        if (*p != '\\')
            s->at++;
        else if (!scan_escape(s, &nul) && !s->half)
            s->half = p;
        if (s->half && !s->check->tolerant)
            return talloc_asprintf(s->ctx, "the escape %.6s at byte %zu is half of a surrogate pair", p,
                                   (size_t)(p - s->start));
    }
    s->at++;
    scan_space(s);
    *is_name_r = s->at < s->end && *s->at == ':';
    /* json-c would cut the name there, and two different names would become one */
    return nul && *is_name_r ? "an object key contains a NUL character" : NULL;
}

const char *json_check_text(void *ctx, const char *text, size_t size, struct json_check *check)
{
    struct json_scan s = {.ctx = ctx, .start = text, .at = text, .end = text + size, .check = check};
    const char *why = NULL;
    int depth = 0;
    bool is_name;
    while (s.at < s.end && !why) {
        char c = *s.at;
        if (c == '"') {
            why = check_string(&s, &is_name);
            check->members += !why && is_name;
        } else if ((c >= '0' && c <= '9') || (c == '-' && s.end - s.at > 1 && s.at[1] != 'I')) {
            why = check_number(&s);
        } else if ((c == '{' || c == '[') && ++depth > check->depth_max) {
            why = talloc_asprintf(ctx, "nested more than %d levels deep", check->depth_max);
        } else if (c == '\'') {
            why = "strings need double quotes";
        } else if (c == 'N' || c == 'I') {
            why = "NaN and Infinity are not JSON";
        } else {
            depth -= c == '}' || c == ']';
            s.at++;
        }
    }
    return why;
}

/* --- places in the document --- */

struct walk {
    struct json_scan scan;
    struct json_level *levels;
    size_t depth;
};

static void begin_walk(struct walk *w, void *scratch, const char *text, size_t size, struct json_check *check)
{
    *w = (struct walk){
        .scan = {.ctx = scratch, .start = text, .at = text, .end = text + size, .check = check}};
}

static void open_level(struct walk *w, bool is_object)
{
    void *ctx = w->scan.ctx;
    w->levels = talloc_realloc(ctx, w->levels, struct json_level, w->depth + 1);
    w->levels[w->depth++] =
        (struct json_level){.names = is_object ? json_own(ctx, json_object_new_object()) : NULL, .name = ""};
}

/* The name whose token, with its quotes, is [at, end); of ctx. */
static const char *decoded_name(void *ctx, const char *at, const char *end)
{
    if (!memchr(at, '\\', (size_t)(end - at)))
        return talloc_strndup(ctx, at + 1, (size_t)(end - at) - 2);
    struct json_tokener *t = json_tokener_new();
    json_object *name = t ? json_tokener_parse_ex(t, at, (int)(end - at)) : NULL;
    json_tokener_free(t);
    const char *text = json_object_get_string(name);
    return text ? json_object_get_string(json_own(ctx, name)) : "";
}

/* Enters the member whose name begins at `at` and was scanned. False if its object has that name already. */
static bool enter_member(struct walk *w, const char *at)
{
    struct json_level *l = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;
    const char *end = w->scan.at;
    while (end[-1] != '"')
        end--;
    if (!l || !l->names)
        return true;
    l->name = decoded_name(w->scan.ctx, at, end);
    return !json_object_object_get_ex(l->names, l->name, NULL) &&
           json_object_object_add(l->names, l->name, NULL) == 0;
}

/* Moves behind the next token, or white space. False if it is a name that stands in its object already. */
static bool next_token(struct walk *w)
{
    const char *p = w->scan.at;
    bool is_name = false;
    w->scan.half = NULL;
    if (*p == '"') {
        (void)check_string(&w->scan, &is_name);
        return !is_name || enter_member(w, p);
    }
    w->scan.at++;
    if (*p == '{' || *p == '[')
        open_level(w, *p == '{');
    else if ((*p == '}' || *p == ']') && w->depth > 0)
        w->depth--;
    else if (*p == ',' && w->depth > 0)
        w->levels[w->depth - 1].index++;
    return true;
}

const char *json_check_names(void *ctx, const char *text, size_t size)
{
    enum { SHOWN_MAX = 100 };
    struct json_check check = {.depth_max = INT_MAX, .tolerant = true};
    void *scratch = talloc_new(ctx);
    struct walk w;
    const char *why = NULL;
    begin_walk(&w, scratch, text, size, &check);
    while (w.scan.at < w.scan.end && !why) {
        const char *p = w.scan.at;
        if (next_token(&w))
            continue;
        const char *name = w.levels[w.depth - 1].name;
        why = talloc_asprintf(ctx, "the name \"%.*s\" stands twice in one object, again at byte %zu",
                              (int)utf8_cut(name, strlen(name), SHOWN_MAX), name, (size_t)(p - text));
    }
    talloc_free(scratch);
    return why;
}

void json_check_places(void *ctx, const char *text, size_t size, json_place_fn *on_place, void *arg)
{
    struct json_check check = {.depth_max = INT_MAX, .tolerant = true};
    void *scratch = talloc_new(ctx);
    struct walk w;
    begin_walk(&w, scratch, text, size, &check);
    while (w.scan.at < w.scan.end) {
        bool is_new = next_token(&w);
        if (!is_new)
            on_place(arg, w.levels, w.depth, NULL);
        if (w.scan.half)
            on_place(arg, w.levels, w.depth, w.scan.half);
    }
    talloc_free(scratch);
}
