/* The list of web origins whose pages may use the API (`api.cors_origins`). An origin is what a browser sends
 * in the header Origin (RFC 6454): scheme "://" host [":" port], in lower case, without a path and without
 * the default port of http or https. The list is comma-separated; empty: none; "*": every origin. */
#pragma once

#include <stdio.h>

/* What is wrong with the list, as the end of a sentence that begins with the setting; NULL if it is valid.
 * The text is static. */
const char *origins_problem(const char *list);
/* Writes the maps of nginx that nginx/millrace.conf.in expects for a valid list: $cors_origin is the value of
 * Access-Control-Allow-Origin, $cors_vary the value of Vary. Both are empty for an empty list. */
void origins_write_nginx(FILE *out, const char *list);
