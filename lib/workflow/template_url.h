/* The parts of a template that becomes a URL or a header, and the rules for them; used by template.c alone.
 * Source: RFC 3986 sections 2.3, 3.2, 3.3. Sentences are static or of ctx. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* One piece of a string with references in it: literal text, or a reference. */
struct template_part {
    const struct reference *reference; /* NULL: literal */
    const char *text;
    size_t size;
};

/* What is wrong with the parts of a URL, or NULL: scheme and authority must be literal and whole, so that no
 * value chooses where a request goes. */
const char *template_url_check(void *ctx, const struct template_part *parts, size_t count);

/* Whether a path segment is . or .., plainly or percent-encoded: what follows it would not be what was
 * written. */
bool template_url_has_dots(const char *url);

/* CR, LF or NUL in it: one header would become two. */
bool template_header_unfit(const char *text, size_t size);
