/* The parts of a template, and the rules for templates of URLs and headers. Private to template.c. Source:
 * RFC 3986, sections 2.3, 3.2 and 3.3. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct reference;

/* One part of a string that contains references: literal text, or a reference. */
struct template_part {
    /* NULL: the part is literal text */
    const struct reference *reference;
    const char *text;
    size_t size;
};

/* Checks the parts of a URL: scheme and authority must be literal and complete, so that no value can choose
 * the target of a request. Returns NULL, or a sentence (static or of ctx) that says what is wrong. */
const char *template_url_check(void *ctx, const struct template_part *parts, size_t count);

/* True if a segment of the path is "." or "..", plain or percent-encoded: HTTP clients would rewrite such a
 * path. */
bool template_url_has_dots(const char *url);

/* True if the text contains CR, LF or NUL, which could split one header into two. */
bool template_header_unfit(const char *text, size_t size);
