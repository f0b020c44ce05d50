#include "base/span.h"

#include <string.h>

struct span span_text(const char *text)
{
    return text ? (struct span){.at = text, .size = strlen(text)} : (struct span){0};
}

bool span_is(struct span s, const char *text)
{
    return s.at && s.size == strlen(text) && memcmp(s.at, text, s.size) == 0;
}
