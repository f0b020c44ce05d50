#include "fcgi/http/console.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"

/* The value of the cookie in one line "name=value; name=value" (RFC 6265), counted in *n. */
static void find_in_line(struct request *r, const char *line, const char **token_r, int *n)
{
    static const char name[] = CONSOLE_COOKIE "=";
    while (*line) {
        line += strspn(line, "; ");
        size_t size = strcspn(line, ";");
        if (size >= sizeof name - 1 && memcmp(line, name, sizeof name - 1) == 0) {
            *token_r = talloc_strndup(r, line + sizeof name - 1, size - (sizeof name - 1));
            (*n)++;
        }
        line += size;
    }
}

int console_find_cookie(struct request *r, const char **token_r)
{
    static const char header[] = "HTTP_COOKIE=";
    int n = 0;
    *token_r = NULL;
    for (char **p = r->params; *p; p++) {
        if (strncmp(*p, header, sizeof header - 1) == 0)
            find_in_line(r, *p + sizeof header - 1, token_r, &n);
    }
    return n > 1 ? -1 : n;
}

/* --- where the request comes from --- */

/* The value of a header that may stand only once; NULL if it is absent or stands twice. */
static const char *single_header(const struct request *r, const char *name)
{
    const char *value;
    return request_param_count(r, name, &value) == 1 ? value : NULL;
}

static bool origin_is_host(const struct request *r)
{
    const char *origin = single_header(r, "HTTP_ORIGIN"), *host = single_header(r, "HTTP_HOST");
    const char *authority = origin ? strstr(origin, "://") : NULL;
    return host && *host && authority && strcasecmp(authority + 3, host) == 0;
}

static bool is_of_same_origin(const struct request *r)
{
    const char *site;
    int n = request_param_count(r, "HTTP_SEC_FETCH_SITE", &site);
    return n == 0 ? origin_is_host(r) : n == 1 && strcmp(site, "same-origin") == 0;
}

static bool has_body(const struct request *r)
{
    const char *length = request_param(r, "CONTENT_LENGTH");
    return (length && *length && strcmp(length, "0") != 0) || request_param(r, "HTTP_TRANSFER_ENCODING");
}

static void count_refused(const struct request *r)
{
    if (r->app) /* NULL in unit tests */
        atomic_fetch_add_explicit(&r->app->shared->metrics.refused_cross_site, 1, memory_order_relaxed);
}

bool console_check_page(struct request *r)
{
    const char *console = single_header(r, "HTTP_X_MILLRACE_CONSOLE");
    bool is_marked = console && strcmp(console, "1") == 0;
    if (!is_marked || !is_of_same_origin(r))
        count_refused(r);
    if (!is_marked)
        return request_reject(r, 403, "cross_site",
                              "A request with the console's cookie needs the header X-Millrace-Console: 1.");
    if (!is_of_same_origin(r))
        return request_reject(
            r, 403, "cross_site",
            "A request with the console's cookie must come from a page of the same origin (Sec-Fetch-Site: "
            "same-origin, or an Origin that is the host); browsers say so to https and to localhost only.");
    if (has_body(r) && !request_media_type_is(r, "application/json"))
        return request_reject(r, 415, "unsupported_media_type",
                              "A body with the console's cookie must be sent as Content-Type: "
                              "application/json.");
    return true;
}

/* --- the cookie of the reply --- */

/* A proxy in front of nginx may have ended TLS. A client that forges the header changes only its own
 * cookie. */
static bool came_by_tls(const struct request *r)
{
    const char *scheme = request_param(r, "SCHEME"), *proxied = request_param(r, "HTTP_X_FORWARDED_PROTO");
    return (scheme && strcmp(scheme, "https") == 0) || (proxied && strcasecmp(proxied, "https") == 0);
}

void console_set_cookie(struct request *r, const char *token, int64_t max_age_s)
{
    reply_header(r, "Set-Cookie",
                 CONSOLE_COOKIE "=%s; Path=/api/v1; Max-Age=%" PRId64 "; HttpOnly; SameSite=Strict%s", token,
                 max_age_s, came_by_tls(r) ? "; Secure" : "");
}
