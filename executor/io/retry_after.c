#include "executor/io/retry_after.h"

#include <stdbool.h>
#include <string.h>

#include "base/clock.h"

enum { ELEMENT_MAX = 64 };

/* The seconds that [at, at + size) says, rounded up, at most those of RETRY_AFTER_MAX_MS; -1: it is no
 * number. */
static int64_t parse_seconds(const char *at, size_t size)
{
    int64_t seconds = 0;
    size_t whole = 0, i;
    bool more = false;
    for (; whole < size && at[whole] >= '0' && at[whole] <= '9'; whole++) {
        seconds = seconds * 10 + (at[whole] - '0');
        if (seconds > RETRY_AFTER_MAX_MS / 1000)
            seconds = RETRY_AFTER_MAX_MS / 1000;
    }
    for (i = whole + 1; i < size && at[i] >= '0' && at[i] <= '9'; i++)
        more = more || at[i] != '0';
    bool fraction = whole < size && at[whole] == '.' && i == size && i > whole + 1;
    if (whole == 0 || (whole < size && !fraction))
        return -1;
    return seconds + more;
}

/* The milliseconds that one element asks for; -1: it is neither a number nor a date. */
static int64_t parse_element(const char *at, size_t size, int64_t now_ms)
{
    char text[ELEMENT_MAX];
    int64_t seconds = parse_seconds(at, size);
    if (seconds >= 0)
        return seconds * 1000;
    if (size >= sizeof text)
        return -1;
    memcpy(text, at, size);
    text[size] = '\0';
    int64_t date_ms = clock_parse_http(text);
    return date_ms < 0 ? -1 : date_ms > now_ms ? date_ms - now_ms : 0;
}

/* The length of the element up to the comma at or after `from`, without white space before the comma. */
static size_t element_size(const char *at, size_t from, size_t *next_r)
{
    size_t n = from + strcspn(at + from, ",");
    *next_r = n;
    while (n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    return n;
}

int64_t retry_after_parse(const char *field, int64_t now_ms)
{
    int64_t latest_ms = 0;
    for (const char *p = field + strspn(field, ", \t"); *p; p += strspn(p, ", \t")) {
        size_t next, second;
        int64_t ms = parse_element(p, element_size(p, 0, &next), now_ms);
        if (ms < 0 && p[next] == ',') { /* a date has a comma after its day */
            ms = parse_element(p, element_size(p, next + 1, &second), now_ms);
            next = ms >= 0 ? second : next;
        }
        if (ms > latest_ms)
            latest_ms = ms;
        p += next;
    }
    return latest_ms < RETRY_AFTER_MAX_MS ? latest_ms : RETRY_AFTER_MAX_MS;
}
