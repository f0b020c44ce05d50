#include "json/json_problems.h"

#include <stdarg.h>
#include <talloc.h>

struct json_problems *json_problems_new(void *ctx)
{
    return talloc_zero(ctx, struct json_problems);
}

void json_problems_add(struct json_problems *p, const char *pointer, const char *format, ...)
{
    if (!p)
        return;
    p->total++;
    if (p->count == JSON_PROBLEMS_MAX)
        return;
    va_list args;
    va_start(args, format);
    char *message = talloc_vasprintf(p, format, args);
    va_end(args);
    p->list[p->count++] = (struct json_problem){.pointer = talloc_strdup(p, pointer), .message = message};
}
