/* URI references and their resolution (RFC 3986, section 5.2). Text only: nothing is fetched. */
#pragma once

/* Resolves `reference` against `base` and drops the fragment; a new string of ctx. An empty base leaves a
 * relative reference as it is. */
char *uri_resolve(void *ctx, const char *base, const char *reference);
/* The percent-decoded fragment of a reference, a new string of ctx; "" if there is none, NULL if it decodes
 * to a NUL. */
char *uri_fragment(void *ctx, const char *reference);
/* A percent-decoded copy of `text`, of ctx; NULL if it decodes to a NUL. A malformed escape is copied
 * unchanged. */
char *uri_decode(void *ctx, const char *text);
