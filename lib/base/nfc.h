/* Unicode normalization forms C and D, by ICU. The same name can be spelt with one character ("\u00e9") or
 * with a letter and a combining mark ("e\u0301"): people and file systems do not tell the two apart. */
#pragma once

#include <stdbool.h>

/* The valid UTF-8 text in form C, of ctx. Aborts the process if ICU has no data. */
const char *nfc_text(void *ctx, const char *text);
/* The same in form D, which some file systems use. */
const char *nfd_text(void *ctx, const char *text);
