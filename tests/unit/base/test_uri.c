#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "base/uri.h"

static const char *encoded(void *ctx, const char *value, size_t size)
{
    char *text = talloc_strdup(ctx, "");
    uri_percent_encode(&text, value, size);
    return text;
}

Test(uri, keeps_unreserved_characters_only)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    void *ctx = talloc_new(NULL);
    cr_expect_str_eq(encoded(ctx, unreserved, strlen(unreserved)), unreserved);
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        char escape[4];
        snprintf(escape, sizeof escape, "%%%02X", (unsigned)c);
        if (c == 0 || !strchr(unreserved, c))
            cr_expect_str_eq(encoded(ctx, &byte, 1), escape);
    }
    talloc_free(ctx);
}

Test(uri, appends_to_the_text_and_honours_the_size)
{
    char *text = talloc_strdup(NULL, "http://h/?q=");
    uri_percent_encode(&text, "a b&c", 4);
    cr_expect_str_eq(text, "http://h/?q=a%20b%26");
    uri_percent_encode(&text, "x", 0);
    cr_expect_str_eq(text, "http://h/?q=a%20b%26");
    uri_percent_encode(&text, "\0\xc3\xa4", 3);
    cr_expect_str_eq(text, "http://h/?q=a%20b%26%00%C3%A4");
    talloc_free(text);
}
