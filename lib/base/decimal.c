#include "base/decimal.h"

#include <string.h>

size_t decimal_text(int64_t number, char out[DECIMAL_SIZE])
{
    char digits[DECIMAL_SIZE];
    char *p = digits + sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    *--p = '\0';
    do {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        *--p = '-';
    size_t size = (size_t)(digits + sizeof digits - p);
    memcpy(out, p, size);
    return size - 1;
}
