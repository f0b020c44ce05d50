/* What the requests of the console's pages have in common: the cookie that stands for a session
 * (lib/session/session.h), and the headers that only a page of the same origin can send. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct request;

/* The cookie's Path is the API's first prefix, so a browser sends it to no other path. */
#define CONSOLE_COOKIE "millrace_session"

/* Finds the cookie. 1: found; 0: none was sent; -1: several were sent. *token_r is a new text of r. */
int console_find_cookie(struct request *r, const char **token_r);
/* Whether a page of the same origin sent the request: X-Millrace-Console is 1, which a form cannot send and
 * a page of another origin may not (CORS), and Sec-Fetch-Site is same-origin. Where a browser does not send
 * Sec-Fetch-Site, Origin must name the host of the request. A body must be application/json. Otherwise the
 * request is rejected: 403 cross_site, or 415. */
bool console_check_page(struct request *r);
/* Adds Set-Cookie to the reply. The cookie is Secure if the request came by TLS, to nginx or to a proxy that
 * says so. `max_age_s` 0 removes the cookie. */
void console_set_cookie(struct request *r, const char *token, int64_t max_age_s);
