/* Unicode normalization form C, by ICU. The same name can be spelt with one character ("\u00e9") or with a
 * letter and a combining mark ("e\u0301"): people and file systems do not tell the two apart. */
#pragma once

#include <stdbool.h>

/* The valid UTF-8 text in form C, of ctx. Aborts the process if ICU has no data. */
const char *nfc_text(void *ctx, const char *text);
