#include "base/origins.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
enum { HOST_MAX = 253, SCHEME_MAX = 32, PORT_DIGITS = 5, PORT_MAX = 65535 };

/* Sets *text_r and *size_r to the next element without spaces around it, and moves *list past it. False at
 * the end. */
static bool origins_next(const char **list, const char **text_r, size_t *size_r)
{
    if (!*list)
        return false;
    const char *text = *list + strspn(*list, " \t");
    size_t size = strcspn(text, ",");
    *list = text[size] ? text + size + 1 : NULL;
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    *text_r = text;
    *size_r = size;
    return true;
}

static const char *port_problem(const char *port, size_t size, bool is_http, bool is_https)
{
    if (size == 0 || size > PORT_DIGITS || strspn(port, DIGITS) < size || *port == '0' ||
        atol(port) > PORT_MAX)
        return "has a port that is not a number from 1 to 65535";
    if ((is_http && size == 2 && memcmp(port, "80", 2) == 0) ||
        (is_https && size == 3 && memcmp(port, "443", 3) == 0))
        return "has the default port of a scheme, which browsers leave out";
    return NULL;
}

/* The length of the host at `text`, 0 if it is not valid. */
static size_t host_size(const char *text, size_t size)
{
    size_t n;
    if (size > 0 && *text == '[') {
        n = 1 + strspn(text + 1, DIGITS "abcdef:.");
        return n > 2 && n < size && text[n] == ']' ? n + 1 : 0;
    }
    n = strspn(text, LOWER DIGITS "-._");
    return n > size ? size : n;
}

static const char *origin_problem(const char *text, size_t size)
{
    if (size == 0)
        return "has an empty element";
    if (size == 4 && memcmp(text, "null", 4) == 0)
        return "names null, which pages of any site can send";
    size_t scheme = strspn(text, LOWER DIGITS "+-.");
    if (scheme == 0 || scheme > SCHEME_MAX || scheme + 3 >= size || memcmp(text + scheme, "://", 3) != 0)
        return "has an element that is not an origin, as in https://app.example.com";
    bool is_http = scheme == 4 && memcmp(text, "http", 4) == 0;
    bool is_https = scheme == 5 && memcmp(text, "https", 5) == 0;
    text += scheme + 3;
    size -= scheme + 3;
    size_t host = host_size(text, size);
    if (host == 0 || host > HOST_MAX)
        return "has an element without a valid host in lower case";
    if (host == size)
        return NULL;
    if (text[host] != ':')
        return "has an element that continues after the host and port; an origin has no path";
    return port_problem(text + host + 1, size - host - 1, is_http, is_https);
}

static bool is_any(const char *list)
{
    const char *text;
    size_t size;
    return origins_next(&list, &text, &size) && size == 1 && *text == '*' && !list;
}

static bool is_empty(const char *list)
{
    return list[strspn(list, " \t")] == '\0';
}

const char *origins_problem(const char *list)
{
    const char *text, *problem = NULL;
    size_t size;
    if (is_empty(list) || is_any(list))
        return NULL;
    while (!problem && origins_next(&list, &text, &size)) {
        if (size == 1 && *text == '*')
            return "has * beside other elements; it must stand alone";
        problem = origin_problem(text, size);
    }
    return problem;
}

void origins_write_nginx(FILE *out, const char *list)
{
    bool any = is_any(list), none = is_empty(list);
    const char *text;
    size_t size;
    fprintf(out, "map $http_origin $cors_origin {\n    default \"%s\";\n", any ? "*" : "");
    while (!any && !none && origins_next(&list, &text, &size))
        fprintf(out, "    \"%.*s\" \"%.*s\";\n", (int)size, text, (int)size, text);
    fprintf(out, "}\nmap \"\" $cors_vary {\n    default \"%s\";\n}\n", any || none ? "" : "Origin");
}
