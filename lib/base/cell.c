#include "base/cell.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { RANDOM_BYTES = 32 };

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool cell_is_name(const char *text)
{
    return strlen(text) == CELL_NAME_SIZE - 1 && is_of_name(text[0]) && is_of_name(text[1]);
}

enum err cell_make_secret(const char *scheme, const char *cell, char *text_r, size_t size)
{
    unsigned char random[RANDOM_BYTES];
    char encoded[SECRET_RANDOM_LENGTH + 1];
    if (sodium_init() < 0)
        return ERR_INTERNAL;
    randombytes_buf(random, sizeof random);
    sodium_bin2base64(encoded, sizeof encoded, random, sizeof random,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    int n = snprintf(text_r, size, "%s%s%s%s", scheme, cell, *cell ? "_" : "", encoded);
    sodium_memzero(random, sizeof random);
    sodium_memzero(encoded, sizeof encoded);
    return n > 0 && (size_t)n < size ? OK : ERR_INTERNAL;
}

static bool is_random_text(const char *text)
{
    return strlen(text) == SECRET_RANDOM_LENGTH &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
               SECRET_RANDOM_LENGTH;
}

bool cell_of_secret(const char *scheme, const char *secret, char cell_r[CELL_NAME_SIZE])
{
    size_t skipped = strlen(scheme);
    cell_r[0] = '\0';
    if (strncmp(secret, scheme, skipped) != 0)
        return false;
    const char *cell = secret + skipped;
    if (!is_of_name(cell[0]) || !is_of_name(cell[1]) || cell[2] != '_' || !is_random_text(cell + 3))
        return false;
    cell_r[0] = cell[0];
    cell_r[1] = cell[1];
    cell_r[2] = '\0';
    return true;
}

bool cell_is_foreign(const char *own, const char *scheme, const char *secret, char cell_r[CELL_NAME_SIZE])
{
    return cell_of_secret(scheme, secret, cell_r) && strcmp(cell_r, own) != 0;
}
