/* The values of HTTP fields: lists, parameters and quoted strings (RFC 9110, section 5.6). One parser for all
 * fields, so that a comma or a word inside a quoted string is never mistaken for an element. Results point
 * into the text, unless a comment says otherwise. A field that was sent in several lines is one list: join
 * the lines by ", " first. */
#pragma once

#include <stdbool.h>

#include "base/span.h"

/* The next element of the list, without white space around it; empty elements are skipped. Returns the
 * position after it, NULL at the end of the list. */
const char *field_next_item(const char *p, struct span *item_r);

/* Parses `name` or `name=value` from *rest, which is an element, and moves *rest behind it and behind the `;`
 * that follows. In a quoted value the quotes are removed, and \" and \\ lose the backslash; other backslashes
 * stay, because browsers send the paths of Windows so. *name_r and *value_r are strings of ctx; *value_r is
 * NULL if there is no `=`. False at the end of the element, or if the rest of it is malformed. */
bool field_next_parameter(void *ctx, struct span *rest, char **name_r, char **value_r);

/* The weight (RFC 9110, section 12.4.2) of an element, from its parameter q: 0 to 1000 thousandths. 1000
 * without one; 0 if it is malformed. */
int field_weight(void *ctx, struct span item);

/* How well a list of media ranges (Accept) matches `type`/`subtype`: the most specific range decides. */
struct field_match {
    /* thousandths; 0: not acceptable */
    int weight;
    /* 3: type and subtype, 2: type and any subtype, 1: any type, 0: no range matches */
    int specificity;
};
struct field_match field_match_media(void *ctx, const char *list, const char *type, const char *subtype);
