/* Percent-encoding of URIs (RFC 3986). */
#pragma once

#include <stddef.h>

/* Appends `size` bytes to the talloc string *text and percent-encodes all of them but the unreserved
 * characters (RFC 3986, section 2.3: letters, digits, - . _ ~). *text may move. */
void uri_percent_encode(char **text, const char *value, size_t size);
