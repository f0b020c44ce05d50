/* The response field Retry-After (RFC 9110, section 10.2.3). */
#pragma once

#include <stdint.h>

/* How long the server wants to be left alone, in milliseconds after `now_ms` (Unix time); 0: it did not say.
 * The field is a number of seconds or an HTTP-date. A fraction, which some servers send, is rounded up to
 * whole seconds. If several lines were sent, joined by commas, the latest time counts. At most
 * RETRY_AFTER_MAX_MS; the caller has limits of its own. */
int64_t retry_after_parse(const char *field, int64_t now_ms);

/* a week: longer than any back-off */
enum { RETRY_AFTER_MAX_MS = 7 * 24 * 3600 * 1000 };
