/* URI references as RFC 3986 resolves them (section 5.2): pure text, nothing is fetched. */
#pragma once

/* `reference` resolved against `base`, without the fragment; new string of ctx. An empty base leaves a
 * relative reference as it is. */
char *uri_resolve(void *ctx, const char *base, const char *reference);
/* The fragment of a reference, percent-decoded; "" when it has none. NULL when it decodes to a NUL. */
char *uri_fragment(void *ctx, const char *reference);
/* Percent-decoded copy of `text`; NULL when it decodes to a NUL. A stray % stands for itself. */
char *uri_decode(void *ctx, const char *text);
