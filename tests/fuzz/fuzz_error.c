/* Fuzzes the pattern of an error. It is within its bounds, ends with NUL, is the same each time, and holds no
 * more of the text than it may: a digit is left only in the status of HTTP. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "run/error_hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char pattern[ERROR_PATTERN_MAX + 1], again[ERROR_PATTERN_MAX + 1];
    char *text = talloc_strndup(NULL, (const char *)data, size);
    memset(again, 'x', sizeof again);
    size_t n = error_pattern(text, pattern);
    need(n <= ERROR_PATTERN_MAX && pattern[n] == '\0' && strlen(pattern) == n);
    need(error_pattern(text, again) == n && strcmp(pattern, again) == 0);
    for (const char *digit = strpbrk(pattern, "0123456789"); digit;
         digit = strpbrk(digit + strspn(digit, "0123456789"), "0123456789"))
        need(strspn(digit, "0123456789") == 3 && digit > pattern && digit[-1] == ' ');
    need(error_hash(REASON_STEP_FAILED, NULL, text) == error_hash(REASON_STEP_FAILED, "", text));
    talloc_free(text);
    return 0;
}
