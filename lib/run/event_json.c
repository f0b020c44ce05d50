#include "run/event_json.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"

char *event_json_make(void *ctx, const id *execution, int seq, enum event_type type, int64_t at_ms,
                      const char *data)
{
    char at[CLOCK_TEXT_SIZE];
    return talloc_asprintf(
        ctx, "{\"execution_id\":\"%s\",\"seq\":%d,\"type\":\"%s\",\"at\":\"%s\",\"data\":%s}",
        execution->text, seq, event_name(type), clock_text_z(at_ms, at), data ? data : "{}");
}

struct event_cursor {
    const char *at, *end;
};

static bool skip_literal(struct event_cursor *c, const char *literal)
{
    size_t n = strlen(literal);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, literal, n) != 0)
        return false;
    c->at += n;
    return true;
}

static bool read_seq(struct event_cursor *c, int *number_r)
{
    enum { DIGITS_MAX = 9 };
    int n = 0, digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && digits < DIGITS_MAX; c->at++, digits++)
        n = n * 10 + (*c->at - '0');
    *number_r = n;
    return n > 0;
}

static bool read_event_type(struct event_cursor *c, enum event_type *type_r)
{
    for (int t = EVENT_QUEUED; event_is_known((enum event_type)t); t++) {
        struct event_cursor rest = *c;
        if (skip_literal(&rest, event_name((enum event_type)t)) && skip_literal(&rest, "\",")) {
            *type_r = (enum event_type)t;
            return true;
        }
    }
    return false;
}

bool event_json_read(const char *text, size_t size, const id *execution, int *seq_r, enum event_type *type_r)
{
    struct event_cursor c = {text, text + size};
    return size > 0 && text[size - 1] == '}' && skip_literal(&c, "{\"execution_id\":\"") &&
           skip_literal(&c, execution->text) && skip_literal(&c, "\",\"seq\":") && read_seq(&c, seq_r) &&
           skip_literal(&c, ",\"type\":\"") && read_event_type(&c, type_r);
}

bool event_is_terminal(enum event_type type)
{
    return type == EVENT_SUCCEEDED || type == EVENT_FAILED || type == EVENT_STOPPED;
}
