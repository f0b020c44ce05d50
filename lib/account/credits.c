#include "account/credits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DECIMALS = 6 };

/* n * 10^scale, exactly. */
static bool scale_by_ten(int64_t n, long scale, int64_t *scaled_r)
{
    for (; n != 0 && scale > 0; scale--) {
        if (__builtin_mul_overflow(n, 10, &n))
            return false;
    }
    for (; n != 0 && scale < 0; scale++) {
        if (n % 10 != 0)
            return false;
        n /= 10;
    }
    *scaled_r = n;
    return true;
}

bool credits_parse_json(const char *number, int64_t *micro_r)
{
    enum { EXPONENT_MAX = 1000 };
    int64_t sign = *number == '-' ? -1 : 1, n = 0;
    long zeros = 0, decimals = 0, exponent = 0;
    bool after_point = false;
    const char *p = number + (sign < 0);
    for (; (*p >= '0' && *p <= '9') || (*p == '.' && !after_point); p++) {
        if (*p == '.') {
            after_point = true;
            continue;
        }
        zeros++; /* of the scale, until a digit that is not 0 takes them into the number */
        decimals += after_point;
        if (*p == '0')
            continue;
        if (!scale_by_ten(n, zeros, &n) || __builtin_add_overflow(n, sign * (*p - '0'), &n))
            return false;
        zeros = 0;
    }
    if (*p == 'e' || *p == 'E') {
        char *end;
        exponent = strtol(p + 1, &end, 10);
        if (end == p + 1)
            return false;
        p = end;
    }
    if (*p || exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX)
        return false;
    return scale_by_ten(n, DECIMALS + zeros - decimals + exponent, micro_r);
}

bool credits_parse(const char *text, int64_t *micro_r)
{
    bool negative = *text == '-';
    const char *p = text + negative;
    int64_t value = 0;
    int digits = 0, decimals = -1; /* -1: before the decimal point */
    for (; *p; p++) {
        if (*p == '.' && decimals < 0 && digits > 0) {
            decimals = 0;
            continue;
        }
        if (*p < '0' || *p > '9' || decimals == DECIMALS)
            return false;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value))
            return false;
        digits++;
        decimals += decimals >= 0;
    }
    if (digits == 0 || decimals == 0)
        return false;
    for (int i = decimals < 0 ? 0 : decimals; i < DECIMALS; i++) {
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    }
    *micro_r = negative ? -value : value;
    return true;
}

const char *credits_text(int64_t micro, char out[CREDITS_TEXT_SIZE])
{
    uint64_t size = micro < 0 ? -(uint64_t)micro : (uint64_t)micro;
    int at = snprintf(out, CREDITS_TEXT_SIZE, "%s%" PRIu64 ".%06" PRIu64, micro < 0 ? "-" : "",
                      size / CREDIT_MICRO, size % CREDIT_MICRO);
    while (out[at - 1] == '0')
        at--;
    if (out[at - 1] == '.')
        at--;
    out[at] = '\0';
    return out;
}

json_object *credits_json(int64_t micro)
{
    if (micro % CREDIT_MICRO == 0)
        return json_object_new_int64(micro / CREDIT_MICRO);
    char text[CREDITS_TEXT_SIZE];
    credits_text(micro, text);
    return json_object_new_double_s(strtod(text, NULL), text);
}
