#include "json/json_problems.h"

#include <stdarg.h>
#include <talloc.h>

struct problems *problems_new(void *ctx)
{
    return talloc_zero(ctx, struct problems);
}

void problems_add(struct problems *p, const char *pointer, const char *format, ...)
{
    if (!p)
        return;
    p->total++;
    if (p->count == PROBLEMS_MAX)
        return;
    va_list args;
    va_start(args, format);
    char *message = talloc_vasprintf(p, format, args);
    va_end(args);
    p->list[p->count++] = (struct problem){.pointer = talloc_strdup(p, pointer), .message = message};
}
