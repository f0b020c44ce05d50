#include "base/span.h"

#include <string.h>

struct span span_text(const char *text)
{
    return text ? (struct span){.at = text, .size = strlen(text)} : (struct span){0};
}
