#include "workflow/template_url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

bool template_header_unfit(const char *text, size_t size)
{
    return memchr(text, '\r', size) || memchr(text, '\n', size) || memchr(text, '\0', size);
}

/* True if the n bytes at p are "." or "..", plain or percent-encoded. */
static bool is_dot_segment(const char *p, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; count++) {
        if (p[i] == '.')
            i++;
        else if (n - i >= 3 && strncasecmp(p + i, "%2e", 3) == 0)
            i += 3;
        else
            return false;
    }
    return count == 1 || count == 2;
}

bool template_url_has_dots(const char *url)
{
    const char *p = strstr(url, "://");
    p = p ? p + 3 : url;
    const char *end = p + strcspn(p, "?#");
    for (p += strcspn(p, "/?#"); p < end;) {
        size_t n = strcspn(++p, "/?#");
        if (is_dot_segment(p, n))
            return true;
        p += n;
    }
    return false;
}

static const char *port_check(const char *port)
{
    size_t n = strspn(port, "0123456789");
    if (!n || port[n] || n > 5 || strtol(port, NULL, 10) > 65535 || strtol(port, NULL, 10) == 0)
        return "the port of the URL is not a number from 1 to 65535";
    return NULL;
}

/* Checks an authority: a host or [address], and an optional port. Returns NULL, or what is wrong. */
static const char *authority_check(const char *authority)
{
    if (strchr(authority, '@'))
        return "a URL must not contain a user name or password; send a header with ${/secrets/NAME} instead";
    const char *host_end = authority + strcspn(authority, ":");
    if (*authority == '[') {
        host_end = authority + strspn(authority + 1, "0123456789abcdefABCDEF:.") + 1;
        if (*host_end++ != ']' || host_end - authority < 4)
            return "the address in brackets is not an IPv6 address";
    }
    if (host_end == authority)
        return "the URL has no host";
    if (*authority != '[' && strcspn(authority, "[]%<>\"^`{|}") < (size_t)(host_end - authority))
        return "the host of the URL contains an invalid character";
    if (*host_end == ':')
        return port_check(host_end + 1);
    return *host_end ? "the host of the URL is malformed" : NULL;
}

static const char *literals_check(const struct template_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; parts[i].text && j < parts[i].size; j++) {
            unsigned char c = (unsigned char)parts[i].text[j];
            if (c <= 0x20 || c == 0x7f || c == '\\')
                return "a URL must not contain blanks, control characters or backslashes; percent-encode "
                       "them";
        }
    }
    return NULL;
}

/* The URL with a letter in the place of each reference. */
static char *sample_url(void *ctx, const struct template_part *parts, size_t count)
{
    char *url = talloc_strdup(ctx, "");
    for (size_t i = 0; i < count; i++)
        url = parts[i].text ? talloc_strndup_append_buffer(url, parts[i].text, parts[i].size)
                            : talloc_strdup_append_buffer(url, "x");
    return url;
}

const char *template_url_check(void *ctx, const struct template_part *parts, size_t count)
{
    if (!parts[0].text)
        return "a URL must start with http:// or https:// and a host, not with a reference";
    const char *why = literals_check(parts, count);
    if (why)
        return why;
    char *first = talloc_strndup(ctx, parts[0].text, parts[0].size);
    size_t scheme = strncasecmp(first, "https://", 8) == 0  ? 8
                    : strncasecmp(first, "http://", 7) == 0 ? 7
                                                            : 0;
    if (!scheme)
        return "a URL must start with http:// or https://";
    size_t authority = strcspn(first + scheme, "/?#");
    if (!first[scheme + authority] && count > 1)
        return "a reference is not allowed in the host or port of a URL";
    first[scheme + authority] = '\0';
    why = authority_check(first + scheme);
    if (!why && template_url_has_dots(sample_url(ctx, parts, count)))
        return "a path segment of the URL is . or ..";
    return why;
}
