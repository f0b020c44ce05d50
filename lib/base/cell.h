/* Cells: independent stacks behind one address (docs/scaling.md). What a caller shows to be let in names the
 * cell that made it, so that nginx can send the request there: API keys, operators' tokens, cookies of
 * sessions, tickets. Such a secret is a scheme ("sk_live_", or nothing), the cell ("c7_", or nothing for the
 * default cell) and 43 base64url characters (256 random bits). It is recognized by form and length: the
 * random characters of a secret without a cell may begin like a cell, too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    /* "c7" and its end. */
    CELL_NAME_SIZE = 2 + 1,
    SECRET_RANDOM_LENGTH = 43,
    /* Of a secret without its scheme: the cell, the random characters and the end. */
    SECRET_TEXT_SIZE = 3 + SECRET_RANDOM_LENGTH + 1,
};

/* Two of a-z and 0-9. */
bool cell_is_name(const char *text);
/* Makes a secret of the scheme and the cell; `cell` "" is the default cell. `size`: of text_r, at least the
 * scheme's length + SECRET_TEXT_SIZE. ERR_INTERNAL: no random numbers. */
enum err cell_make_secret(const char *scheme, const char *cell, char *text_r, size_t size) WARN_UNUSED;
/* The cell that a secret of the scheme names; false if it names none. */
bool cell_of_secret(const char *scheme, const char *secret, char cell_r[CELL_NAME_SIZE]);
/* Whether the secret names a cell that is not `own`, so that this stack need not know it. */
bool cell_is_foreign(const char *own, const char *scheme, const char *secret, char cell_r[CELL_NAME_SIZE]);
