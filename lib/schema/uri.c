#include "schema/uri.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <talloc.h>

struct uri_part {
    /* NULL: the part is absent, which differs from an empty part */
    const char *at;
    size_t size;
};

struct uri {
    struct uri_part scheme, authority, path, query;
};

static size_t scheme_size(const char *text)
{
    size_t n = 0;
    if (!isalpha((unsigned char)text[0]))
        return 0;
    while (isalnum((unsigned char)text[n]) || (text[n] && strchr("+-.", text[n])))
        n++;
    return text[n] == ':' ? n : 0;
}

static void uri_split(const char *text, struct uri *u)
{
    *u = (struct uri){0};
    size_t n = scheme_size(text);
    if (n > 0) {
        u->scheme = (struct uri_part){text, n};
        text += n + 1;
    }
    if (text[0] == '/' && text[1] == '/') {
        n = strcspn(text + 2, "/?#");
        u->authority = (struct uri_part){text + 2, n};
        text += 2 + n;
    }
    n = strcspn(text, "?#");
    u->path = (struct uri_part){text, n};
    text += n;
    if (*text == '?') {
        n = strcspn(text + 1, "#");
        u->query = (struct uri_part){text + 1, n};
    }
}

/* RFC 3986, section 5.2.4, in place: copies each segment, drops ".", and lets ".." remove the segment before
 * it. */
static void remove_dots(char *path)
{
    char *out = path;
    const char *in = path;
    bool rooted = *path == '/';
    while (*in) {
        /* a segment with its leading slash, which the first may lack */
        size_t n = strcspn(in + 1, "/") + 1;
        const char *name = *in == '/' ? in + 1 : in;
        size_t name_size = n - (size_t)(name - in);
        bool last = in[n] == '\0';
        bool one = name_size == 1 && name[0] == '.';
        bool two = name_size == 2 && name[0] == '.' && name[1] == '.';
        if (two) {
            while (out > path && *--out != '/')
                ;
        }
        if (one || two) {
            if (last && (rooted || out > path))
                *out++ = '/';
        } else {
            memmove(out, in, n);
            out += n;
        }
        in += n;
    }
    *out = '\0';
}

static char *merge_paths(void *ctx, const struct uri *base, const struct uri *ref)
{
    if (base->authority.at && base->path.size == 0)
        return talloc_asprintf(ctx, "/%.*s", (int)ref->path.size, ref->path.at);
    size_t keep = base->path.size;
    while (keep > 0 && base->path.at[keep - 1] != '/')
        keep--;
    return talloc_asprintf(ctx, "%.*s%.*s", (int)keep, base->path.at, (int)ref->path.size, ref->path.at);
}

static char *append_part(char *text, const char *before, struct uri_part part, const char *after)
{
    if (!part.at)
        return text;
    return talloc_asprintf_append_buffer(text, "%s%.*s%s", before, (int)part.size, part.at, after);
}

char *uri_resolve(void *ctx, const char *base_text, const char *reference)
{
    struct uri base;
    struct uri ref;
    uri_split(base_text, &base);
    uri_split(reference, &ref);
    char *path;
    struct uri_part query = ref.query;
    if (ref.scheme.at || ref.authority.at || ref.path.at[0] == '/') {
        path = talloc_strndup(ctx, ref.path.at, ref.path.size);
    } else if (ref.path.size == 0) {
        path = talloc_strndup(ctx, base.path.at, base.path.size);
        query = ref.query.at ? ref.query : base.query;
    } else {
        path = merge_paths(ctx, &base, &ref);
    }
    if (ref.path.size > 0)
        remove_dots(path);
    char *text = talloc_strdup(ctx, "");
    text = append_part(text, "", ref.scheme.at ? ref.scheme : base.scheme, ":");
    text = append_part(text, "//", ref.scheme.at || ref.authority.at ? ref.authority : base.authority, "");
    text = talloc_strdup_append_buffer(text, path);
    text = append_part(text, "?", query, "");
    talloc_free(path);
    return text;
}

static int uri_hex_value(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

char *uri_decode(void *ctx, const char *text)
{
    char *decoded = talloc_strdup(ctx, text);
    char *out = decoded;
    for (const char *p = text; *p; p++) {
        int high = *p == '%' ? uri_hex_value(p[1]) : -1;
        int low = high >= 0 ? uri_hex_value(p[2]) : -1;
        if (low < 0) {
            *out++ = *p;
            continue;
        }
        if (high == 0 && low == 0)
            return NULL;
        *out++ = (char)(high * 16 + low);
        p += 2;
    }
    *out = '\0';
    return decoded;
}

char *uri_fragment(void *ctx, const char *reference)
{
    const char *hash = strchr(reference, '#');
    return uri_decode(ctx, hash ? hash + 1 : "");
}
