#include "base/ids.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/sort.h"

static const char hex_digits[] = "0123456789abcdef";

static void id_format(const uint8_t b[16], id *out)
{
    char *p = out->text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex_digits[b[i] >> 4];
        *p++ = hex_digits[b[i] & 15];
    }
    *p = '\0';
}

static void id_put_ms(uint8_t b[16], int64_t ms)
{
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
}

/* The ids of one thread ascend: if the clock stands still or steps back, the random part is incremented
 * instead (RFC 9562, section 6.2, method 2). Each thread has its own state. */
id id_new(void)
{
    static _Thread_local uint8_t last[16];
    static _Thread_local int64_t last_ms;
    int64_t now_ms = clock_wall_ms();
    if (now_ms > last_ms) {
        last_ms = now_ms;
        randombytes_buf(last + 6, 10);
        /* clears the top bit of the counter, so that incrementing it does not overflow */
        last[8] &= 0x1f;
    } else {
        int i = 15;
        while (i > 8 && ++last[i] == 0)
            i--;
        if (i == 8)
            last[8]++;
    }
    uint8_t b[16];
    memcpy(b, last, sizeof b);
    id_put_ms(b, last_ms);
    b[6] = (uint8_t)(0x70 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    id out;
    id_format(b, &out);
    return out;
}

/* Behind the time: 14 bits of the index (around the two bits of the variant), then 60 bits of the hash. */
id id_derive(const id *of, unsigned index)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    uint8_t b[16];
    crypto_hash_sha256(hash, (const unsigned char *)of->text, ID_LENGTH);
    memcpy(b + 8, hash, 8);
    id_put_ms(b, id_ms(of));
    b[6] = 0x70;
    b[7] = 0;
    b[8] = (uint8_t)(0x80 | (b[8] & 0x0f));
    id first;
    id_format(b, &first);
    return id_sibling(&first, index);
}

id id_sibling(const id *derived, unsigned index)
{
    id out = *derived;
    out.text[15] = hex_digits[(index >> 10) & 15];
    out.text[16] = hex_digits[(index >> 6) & 15];
    out.text[17] = hex_digits[(index >> 2) & 15];
    out.text[19] = hex_digits[8 | (index & 3)];
    return out;
}

id id_floor(int64_t ms)
{
    uint8_t b[16] = {0};
    if (ms < 0)
        ms = 0;
    id_put_ms(b, ms);
    b[6] = 0x70;
    b[8] = 0x80;
    id out;
    id_format(b, &out);
    return out;
}

static int id_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool id_parse(const char *text, size_t size, id *id_r)
{
    id_r->text[0] = '\0';
    if (size != ID_LENGTH)
        return false;
    char out[ID_LENGTH + 1];
    for (size_t i = 0; i < ID_LENGTH; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? c != '-' : id_hex_value(c) < 0)
            return false;
        out[i] = c;
    }
    out[ID_LENGTH] = '\0';
    memcpy(id_r->text, out, sizeof out);
    return true;
}

int64_t id_ms(const id *i)
{
    int64_t ms = 0;
    for (int at = 0; at < 13; at++) {
        if (at != 8)
            ms = ms << 4 | (id_hex_value(i->text[at]) & 0xf);
    }
    return ms;
}

uint64_t id_hash(const id *i)
{
    /* FNV-1a, with the high half folded into the low half */
    uint64_t hash = 14695981039346656037U;
    for (const char *p = i->text; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211U;
    return hash ^ hash >> 32;
}

uint64_t id_hash_nonzero(const id *i)
{
    return id_hash(i) | 1;
}

bool id_equal(const id *a, const id *b)
{
    return strcmp(a->text, b->text) == 0;
}

int id_compare(const id *a, const id *b)
{
    return strcmp(a->text, b->text);
}

static int compare_elements(const void *a, const void *b)
{
    return id_compare(a, b);
}

size_t id_sort_distinct(id *ids, size_t n)
{
    return sort_merge(ids, n, sizeof *ids, compare_elements, NULL);
}

bool id_is_in(const id *ids, size_t n, const id *wanted)
{
    for (size_t i = 0; i < n; i++) {
        if (id_equal(&ids[i], wanted))
            return true;
    }
    return false;
}

bool id_search(const id *sorted, size_t n, const id *wanted)
{
    return n > 0 && bsearch(wanted, sorted, n, sizeof *sorted, compare_elements) != NULL;
}
