/* Text for a terminal: control characters are escaped, and tables are as wide as the terminal at most. */
#pragma once

#include "json/json.h"

/* Returns `text` with every character escaped that changes what a terminal shows, as \n, \t, \xNN or \uNNNN:
 * control characters (C0, DEL, C1), line separators, direction marks, and bytes that are not UTF-8. A new
 * string of ctx, or `text` if nothing was escaped. */
const char *printable_text(void *ctx, const char *text, size_t size);
/* Columns of the terminal: $COLUMNS, else what the terminal of standard output reports; 0: no limit, because
 * standard output is no terminal. */
size_t terminal_columns(void);
/* Prints an array of objects with the same members, one a line, or "none". If the lines are longer than
 * `columns` (0: no limit), texts are shortened, ids and numbers never; then members are left out, the last
 * ones first, and a last line names them. */
void table_print(void *ctx, json_object *list, size_t columns);
/* Prints the members of an object, one a line; arrays of objects as tables below. */
void table_print_object(void *ctx, json_object *object, size_t columns);
