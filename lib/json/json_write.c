#include "json/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/decimal.h"

/* initial size of the buffer; most responses fit in */
enum { FIRST_SIZE = 4096 };

struct json_write {
    char *text;
    size_t used, room;
    /* the next value needs a comma before it */
    bool comma;
};

struct json_write *json_write_new(void *ctx)
{
    struct json_write *w = talloc_zero(ctx, struct json_write);
    w->room = FIRST_SIZE;
    w->text = talloc_size(w, w->room);
    return w;
}

static char *reserve_room(struct json_write *w, size_t more)
{
    if (w->room - w->used <= more) {
        w->room = w->room * 2 + more;
        w->text = talloc_realloc_size(w, w->text, w->room);
    }
    return w->text + w->used;
}

static void json_append(struct json_write *w, const char *bytes, size_t size)
{
    memcpy(reserve_room(w, size), bytes, size);
    w->used += size;
}

const char *json_write_result(struct json_write *w, size_t *size_r)
{
    *reserve_room(w, 1) = '\0';
    if (size_r)
        *size_r = w->used;
    return w->text;
}

static void before_value(struct json_write *w)
{
    if (w->comma)
        json_append(w, ",", 1);
    w->comma = true;
}

void json_write_open(struct json_write *w, char bracket)
{
    before_value(w);
    json_append(w, &bracket, 1);
    w->comma = false;
}

void json_write_close(struct json_write *w, char bracket)
{
    json_append(w, &bracket, 1);
    w->comma = true;
}

/* Writes the escape sequence of `c`, at most 6 bytes, and returns its length. */
static size_t append_escape(unsigned char c, char *out)
{
    /* for the bytes 8 to 13; 11 has no letter */
    static const char letters[] = "btn?fr";
    out[0] = '\\';
    if (c == '"' || c == '\\')
        out[1] = (char)c;
    else if (c >= 8 && c <= 13 && c != 11)
        out[1] = letters[c - 8];
    else
        return (size_t)snprintf(out, 7, "\\u%04x", c);
    return 2;
}

static bool needs_no_escape(unsigned char c)
{
    return c >= 32 && c != '"' && c != '\\' && c != 127;
}

/* One in the highest bit of each byte of `word` that is zero, and perhaps of bytes above such a byte. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

static uint64_t each_byte(unsigned char c)
{
    return UINT64_C(0x0101010101010101) * c;
}

/* Whether none of the eight bytes needs an escape. */
static bool word_needs_no_escape(uint64_t word)
{
    uint64_t below_32 = (word - each_byte(32)) & ~word & each_byte(128);
    return (below_32 | zero_bytes(word ^ each_byte('"')) | zero_bytes(word ^ each_byte('\\')) |
            zero_bytes(word ^ each_byte(127))) == 0;
}

/* Copies a text without escapes, as nearly all are, eight bytes at a time; the last eight may overlap those
 * before. False: a byte needs an escape or the text is shorter, and the caller must write `out` from its
 * start. */
static bool copy_plain(char *out, const char *text, size_t size)
{
    uint64_t word;
    if (size < sizeof word)
        return false;
    for (size_t i = 0;; i = i + sizeof word < size - sizeof word ? i + sizeof word : size - sizeof word) {
        memcpy(&word, text + i, sizeof word);
        if (!word_needs_no_escape(word))
            return false;
        memcpy(out + i, &word, sizeof word);
        if (i == size - sizeof word)
            return true;
    }
}

static char *copy_escaped(char *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (needs_no_escape((unsigned char)text[i]))
            *out++ = text[i];
        else
            out += append_escape((unsigned char)text[i], out);
    }
    return out;
}

static void append_string(struct json_write *w, const char *text, size_t size)
{
    char *start = reserve_room(w, size * 6 + 3);
    char *out = start;
    *out++ = '"';
    out = copy_plain(out, text, size) ? out + size : copy_escaped(out, text, size);
    *out++ = '"';
    w->used += (size_t)(out - start);
}

void json_write_key(struct json_write *w, const char *key)
{
    before_value(w);
    append_string(w, key, strlen(key));
    json_append(w, ":", 1);
    w->comma = false;
}

void json_write_bytes(struct json_write *w, const char *text, size_t size)
{
    before_value(w);
    append_string(w, text, size);
}

/* The size of the escape at p: 12 for a surrogate pair, 6 for half of one, for others perhaps less than it
 * is.
 */
static size_t surrogate_size(const char *p, const char *end)
{
    bool is_surrogate = end - p >= 6 && p[1] == 'u' && (p[2] | 0x20) == 'd' && strchr("89abcdefABCDEF", p[3]);
    if (!is_surrogate)
        return 2;
    bool is_high = strchr("89abAB", p[3]);
    bool has_low =
        end - p >= 12 && p[6] == '\\' && p[7] == 'u' && (p[8] | 0x20) == 'd' && strchr("cdefCDEF", p[9]);
    return is_high && has_low ? 12 : 6;
}

/* Replaces halves of surrogate pairs by U+FFFD, whose escape has the same size. */
static void repair_surrogates(char *json, size_t size)
{
    const char *end = json + size;
    for (char *p = json; p < end && (p = memchr(p, '\\', (size_t)(end - p)));) {
        size_t n = surrogate_size(p, end);
        if (n == 6)
            memcpy(p + 2, "fffd", 4);
        p += n;
    }
}

void json_write_raw(struct json_write *w, const char *json, size_t size)
{
    before_value(w);
    json_append(w, json, size);
    repair_surrogates(w->text + w->used - size, size);
}

void json_write_number(struct json_write *w, int64_t number)
{
    char text[DECIMAL_SIZE];
    size_t n = decimal_text(number, text);
    before_value(w);
    json_append(w, text, n);
}

void json_write_null(struct json_write *w)
{
    before_value(w);
    json_append(w, "null", 4);
}

void json_write_text(struct json_write *w, const char *key, const char *text)
{
    json_write_key(w, key);
    if (text)
        json_write_bytes(w, text, strlen(text));
    else
        json_write_null(w);
}

void json_write_json(struct json_write *w, const char *key, const char *json)
{
    json_write_key(w, key);
    json_write_raw(w, json ? json : "null", json ? strlen(json) : 4);
}

void json_write_id(struct json_write *w, const char *key, const id *i)
{
    json_write_text(w, key, id_is_set(i) ? i->text : NULL);
}

void json_write_int(struct json_write *w, const char *key, int64_t number)
{
    json_write_key(w, key);
    json_write_number(w, number);
}

void json_write_flag(struct json_write *w, const char *key, bool value)
{
    json_write_key(w, key);
    before_value(w);
    json_append(w, value ? "true" : "false", value ? 4 : 5);
}

/* The six digits after the point without the zeros at their end; nothing if all are zero. */
static size_t part_text(uint64_t part, char out[8])
{
    size_t n = 7;
    if (part == 0)
        return 0;
    out[0] = '.';
    for (size_t i = 6; i > 0; i--, part /= 10)
        out[i] = (char)('0' + part % 10);
    while (out[n - 1] == '0')
        n--;
    return n;
}

void json_write_credits(struct json_write *w, const char *key, int64_t micro)
{
    char text[1 + DECIMAL_SIZE + 8] = "-";
    int64_t whole = micro / 1000000;
    int64_t part = micro % 1000000;
    size_t n = micro < 0 && whole == 0;
    n += decimal_text(whole, text + n);
    n += part_text((uint64_t)(part < 0 ? -part : part), text + n);
    json_write_key(w, key);
    before_value(w);
    json_append(w, text, n);
}

void json_write_time(struct json_write *w, const char *key, int64_t ms, bool with_z)
{
    char text[CLOCK_TEXT_SIZE];
    json_write_text(w, key, ms == 0 ? NULL : with_z ? clock_text_z(ms, text) : clock_text_offset(ms, text));
}
