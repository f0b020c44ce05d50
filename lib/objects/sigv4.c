#include "objects/sigv4.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "base/uri.h"

enum { HASH = 32, HEX = 2 * HASH + 1, DAY = 8 /* of SIGV4_DATE_SIZE: "20150830" */ };

static const char algorithm[] = "AWS4-HMAC-SHA256";

void sigv4_date(int64_t ms, char date_r[SIGV4_DATE_SIZE])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    strftime(date_r, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

/* --- the canonical request --- */

char *sigv4_path(void *ctx, const char *path)
{
    char *encoded = talloc_strdup(ctx, "");
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        uri_percent_encode(&encoded, part, n);
        part += n;
        if (!*part)
            return encoded;
        encoded = talloc_strdup_append_buffer(encoded, "/");
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "=" is joined to the names before they are sorted. A name that continues where another one ends does so
 * with an unreserved character or with "%"; digits, "-", "." and "%" would sort before "=". Hence names and
 * values are sorted with a byte in between that is less than all of them. */
enum { BETWEEN = '\x01' };

char *sigv4_query(void *ctx, const struct sigv4_pair *query, size_t n)
{
    char *list[SIGV4_PAIRS_MAX], *joined = talloc_strdup(ctx, "");
    n = n < SIGV4_PAIRS_MAX ? n : SIGV4_PAIRS_MAX;
    for (size_t i = 0; i < n; i++) {
        list[i] = talloc_strdup(joined, "");
        uri_percent_encode(&list[i], query[i].name, strlen(query[i].name));
        list[i] = talloc_asprintf_append_buffer(list[i], "%c", BETWEEN);
        uri_percent_encode(&list[i], query[i].value, strlen(query[i].value));
    }
    qsort(list, n, sizeof *list, by_text);
    char *text = talloc_strdup(ctx, "");
    for (size_t i = 0; i < n; i++) {
        *strchr(list[i], BETWEEN) = '=';
        text = talloc_asprintf_append_buffer(text, "%s%s", i ? "&" : "", list[i]);
    }
    talloc_free(joined);
    return text;
}

struct header {
    char *name, *value;
    size_t place;
};

static int by_name(const void *a, const void *b)
{
    const struct header *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* Without white space at both ends, and with one space for each run of white space within. */
static char *tidy_value(void *ctx, const char *value)
{
    char *tidy = talloc_size(ctx, strlen(value) + 1), *out = tidy;
    for (; *value; value++) {
        bool space = isspace((unsigned char)*value);
        if (!space)
            *out++ = *value;
        else if (out > tidy && out[-1] != ' ')
            *out++ = ' ';
    }
    out -= out > tidy && out[-1] == ' ';
    *out = '\0';
    return tidy;
}

/* Appends the canonical headers to *text; the names, joined by semicolons, to *names. */
static void add_headers(char **text, char **names, const struct sigv4_request *request)
{
    struct header list[SIGV4_PAIRS_MAX];
    size_t n = request->headers_n < SIGV4_PAIRS_MAX ? request->headers_n : SIGV4_PAIRS_MAX;
    void *scratch = talloc_new(NULL);
    for (size_t i = 0; i < n; i++) {
        list[i] = (struct header){.name = talloc_strdup(scratch, request->headers[i].name),
                                  .value = tidy_value(scratch, request->headers[i].value),
                                  .place = i};
        for (char *p = list[i].name; *p; p++)
            *p = (char)tolower((unsigned char)*p);
    }
    qsort(list, n, sizeof *list, by_name);
    for (size_t i = 0; i < n; i++) {
        bool again = i > 0 && strcmp(list[i].name, list[i - 1].name) == 0;
        if (again)
            *text = talloc_asprintf_append_buffer(*text, ",%s", list[i].value);
        else
            *text = talloc_asprintf_append_buffer(*text, "\n%s:%s", list[i].name, list[i].value);
        if (!again)
            *names = talloc_asprintf_append_buffer(*names, "%s%s", i ? ";" : "", list[i].name);
    }
    talloc_free(scratch);
}

static char *canonical_request(void *ctx, const struct sigv4_request *request, const char **names_r)
{
    char *text = talloc_asprintf(ctx, "%s\n%s\n%s", request->method, sigv4_path(ctx, request->path),
                                 sigv4_query(ctx, request->query, request->query_n));
    char *names = talloc_strdup(ctx, "");
    add_headers(&text, &names, request);
    *names_r = names;
    return talloc_asprintf_append_buffer(text, "\n\n%s\n%s", names, request->payload);
}

/* --- the signature --- */

static void hmac(const void *key, size_t key_size, const char *text, uint8_t mac_r[HASH])
{
    unsigned n = HASH;
    HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, strlen(text), mac_r, &n);
}

static void sign(const struct sigv4_key *key, const char *day, const char *text, char hex_r[HEX])
{
    uint8_t mac[HASH];
    char *first = talloc_asprintf(NULL, "AWS4%s", key->secret);
    hmac(first, strlen(first), day, mac);
    hmac(mac, HASH, key->region, mac);
    hmac(mac, HASH, key->service, mac);
    hmac(mac, HASH, "aws4_request", mac);
    hmac(mac, HASH, text, mac);
    sodium_bin2hex(hex_r, HEX, mac, HASH);
    sodium_memzero(mac, sizeof mac);
    sodium_memzero(first, strlen(first));
    talloc_free(first);
}

char *sigv4_authorization(void *ctx, const struct sigv4_key *key, const struct sigv4_request *request)
{
    void *scratch = talloc_new(NULL);
    const char *names;
    uint8_t hash[HASH];
    char hex[HEX], signature[HEX];
    const char *canonical = canonical_request(scratch, request, &names);
    const char *day = talloc_strndup(scratch, request->date, DAY);
    const char *scope = talloc_asprintf(scratch, "%s/%s/%s/aws4_request", day, key->region, key->service);
    crypto_hash_sha256(hash, (const unsigned char *)canonical, strlen(canonical));
    sodium_bin2hex(hex, sizeof hex, hash, HASH);
    sign(key, day, talloc_asprintf(scratch, "%s\n%s\n%s\n%s", algorithm, request->date, scope, hex),
         signature);
    char *text = talloc_asprintf(ctx, "%s Credential=%s/%s, SignedHeaders=%s, Signature=%s", algorithm,
                                 key->access_key, scope, names, signature);
    talloc_free(scratch);
    return text;
}
