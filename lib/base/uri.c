#include "base/uri.h"

#include <string.h>
#include <talloc.h>

void uri_percent_encode(char **text, const char *value, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    char *encoded = talloc_array(NULL, char, 3 * size + 1);
    char *out = encoded;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c && strchr("-._~", c))) {
            *out++ = (char)c;
        } else {
            *out++ = '%', *out++ = hex[c >> 4], *out++ = hex[c & 15];
        }
    }
    *text = talloc_strndup_append_buffer(*text, encoded, (size_t)(out - encoded));
    talloc_free(encoded);
}
