#include "run/error_hash.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum {
    ID_MIN = 16,
    HEX_ID_MIN = 8,
    /* An open quote before more than so many bytes is a long value that was cut. */
    OPEN_QUOTE_MIN = 256,
    STATUS_DIGITS = 3,
    /* What is read of an error, and of the scheme of a URL: the text is a tenant's, and is looked through
     * again at each of its first ERROR_PATTERN_MAX bytes. */
    READ_MAX = 4096,
    SCHEME_MAX = 32,
};

static const char quotes[] = "\"'`";

struct pattern {
    char *out;
    size_t size;
    /* The next piece did not fit. */
    bool full;
    /* By index in `quotes`: none follows that closes. */
    bool unclosed[sizeof quotes - 1];
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_space(char c)
{
    return (unsigned char)c <= ' ' || (unsigned char)c == 0x7f;
}

/* A byte of a word; those above 0x7f belong to letters of other scripts, or are no UTF-8. */
static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_' || (unsigned char)c >= 0x80;
}

static void put(struct pattern *p, const char *text, size_t n)
{
    if (p->full || n > ERROR_PATTERN_MAX - p->size) {
        p->full = true;
        return;
    }
    memcpy(p->out + p->size, text, n);
    p->size += n;
}

static void put_text(struct pattern *p, const char *text)
{
    put(p, text, strlen(text));
}

static bool ends_with(const struct pattern *p, const char *word)
{
    size_t n = strlen(word);
    return p->size >= n && strncasecmp(p->out + p->size - n, word, n) == 0;
}

/* The size of a URL at `at`; 0: there is none. */
static size_t url_size(const char *at)
{
    size_t n = 0;
    while (n < SCHEME_MAX &&
           (is_letter(at[n]) || (n > 0 && (is_digit(at[n]) || strchr("+.-", at[n] ? at[n] : ' ')))))
        n++;
    if (n == 0 || strncmp(at + n, "://", 3) != 0)
        return 0;
    while (at[n] && !is_space(at[n]) && !strchr("\"'`<>)]}", at[n]))
        n++;
    return n;
}

/* The size of a quoted value at `at` with its quotes; 0: the quote is an ordinary character. */
static size_t quoted_size(struct pattern *p, const char *at)
{
    const char *which = *at ? strchr(quotes, *at) : NULL;
    if (!which)
        return 0;
    for (const char *end = p->unclosed[which - quotes] ? NULL : strchr(at + 1, *at); end;
         end = strchr(end + 1, *at)) {
        if (!is_word(end[1]))
            return (size_t)(end - at) + 1;
    }
    p->unclosed[which - quotes] = true;
    return strlen(at) > OPEN_QUOTE_MIN ? strlen(at) : 0;
}

static size_t word_size(const char *at)
{
    size_t n = 0;
    while (is_word(at[n]) || at[n] == '-' ||
           (n > 0 && (at[n] == '.' || at[n] == ':') && is_digit(at[n - 1]) && is_digit(at[n + 1])))
        n++;
    return n;
}

/* Numbers within a word; a sign before the first one belongs to it. */
static void put_numbers(struct pattern *p, const char *at, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (i == 0 && n > 1 && at[0] == '-' && is_digit(at[1]))
            i++;
        if (!is_digit(at[i])) {
            put(p, at + i++, 1);
            continue;
        }
        while (i < n && (is_digit(at[i]) || at[i] == '.' || at[i] == ':'))
            i++;
        put_text(p, "<n>");
    }
}

static void put_word(struct pattern *p, const char *at, size_t n)
{
    bool is_number = true, is_hexadecimal = true, has_digit = false;
    for (size_t i = 0; i < n; i++) {
        has_digit = has_digit || is_digit(at[i]);
        is_number = is_number && (is_digit(at[i]) || strchr("-.:", at[i]));
        is_hexadecimal = is_hexadecimal && (is_hex(at[i]) || at[i] == '-');
    }
    bool is_status = n == STATUS_DIGITS && is_number && strspn(at, "0123456789") == n && *at >= '1' &&
                     *at <= '5' && (ends_with(p, "status ") || ends_with(p, "http "));
    bool is_address =
        n > 2 && at[0] == '0' && at[1] == 'x' && strspn(at + 2, "0123456789abcdefABCDEF") >= n - 2;
    if (!has_digit || is_status)
        put(p, at, n);
    else if (is_number)
        put_text(p, "<n>");
    else if (n >= ID_MIN || (is_hexadecimal && n >= HEX_ID_MIN) || is_address)
        put_text(p, "<id>");
    else
        put_numbers(p, at, n);
}

size_t error_pattern(const char *error, char out[ERROR_PATTERN_MAX + 1])
{
    struct pattern p = {.out = out};
    char text[READ_MAX + 1];
    size_t size = error ? strnlen(error, READ_MAX) : 0;
    memcpy(text, error ? error : "", size);
    text[size] = '\0';
    for (const char *at = text; *at && !p.full;) {
        size_t n = url_size(at);
        bool is_url = n > 0;
        if (!is_url && (n = quoted_size(&p, at)) > 0) {
            put_text(&p, "<quoted>");
        } else if (is_url) {
            put_text(&p, "<url>");
        } else if ((n = word_size(at)) > 0) {
            put_word(&p, at, n);
            /* no quote opens behind a word: the next byte is taken as it is */
            if (at[n] && strchr(quotes, at[n]))
                put(&p, at + n++, 1);
        } else {
            n = 1;
            if (!is_space(*at))
                put(&p, at, 1);
            else if (p.size > 0 && out[p.size - 1] != ' ')
                put_text(&p, " ");
        }
        at += n;
    }
    while (p.size > 0 && out[p.size - 1] == ' ')
        p.size--;
    out[p.size] = '\0';
    return p.size;
}

/* FNV-1a. A tenant that makes two errors collide only joins groups of its own. */
static uint64_t mix(uint64_t hash, const char *text, size_t n)
{
    for (size_t i = 0; i <= n; i++)
        hash = (hash ^ (i < n ? (unsigned char)text[i] : 0U)) * 0x100000001b3U;
    return hash;
}

int64_t error_hash(enum failure_reason reason, const char *step, const char *error)
{
    char pattern[ERROR_PATTERN_MAX + 1];
    size_t n = error_pattern(error, pattern);
    const char *name = reason_name(reason);
    uint64_t hash = mix(0xcbf29ce484222325U, name ? name : "", name ? strlen(name) : 0);
    hash = mix(hash, step ? step : "", step ? strlen(step) : 0);
    hash = mix(hash, pattern, n);
    int64_t stored;
    memcpy(&stored, &hash, sizeof stored);
    return stored;
}
