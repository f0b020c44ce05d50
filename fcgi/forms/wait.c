#include "fcgi/forms/wait.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/field.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

static const char *const shapes[] = {
    [WAIT_SHAPE_RUN] = "run", [WAIT_SHAPE_SKILL] = "skill", [WAIT_SHAPE_EXECUTION] = "get"};

enum wait_response_shape wait_response_shape_parse(const char *name)
{
    for (int f = WAIT_SHAPE_RUN; f <= WAIT_SHAPE_EXECUTION; f++) {
        if (name && strcmp(shapes[f], name) == 0)
            return (enum wait_response_shape)f;
    }
    return WAIT_SHAPE_EXECUTION;
}

/* The seconds of a preference `wait=10`, 0 for any other preference. */
static int parse_preference(void *ctx, struct span preference)
{
    char *name, *value;
    if (!field_next_parameter(ctx, &preference, &name, &value) || strcasecmp(name, "wait") != 0 || !value)
        return 0;
    if (!*value || value[strspn(value, "0123456789")])
        return 0;
    long n = strtol(value, NULL, 10); /* LONG_MAX beyond that */
    return n > WAIT_MAX_S ? WAIT_MAX_S : (int)n;
}

int wait_from_prefer_header(struct request *r)
{
    const char *list = request_list(r, "HTTP_PREFER");
    struct span item;
    for (const char *p = list; p && (p = field_next_item(p, &item));) {
        int n = parse_preference(r, item);
        if (n > 0)
            return n;
    }
    return 0;
}

int wait_delegate(struct request *r, const id *execution, int seconds, enum wait_response_shape shape,
                  bool with_steps)
{
    r->execution_id = *execution;
    return reply_internal(
        r, "/internal/stream/wait?execution=%s&workspace=%s&seconds=%d&form=%s&steps=%s&streams=%lld",
        execution->text, r->access.workspace_id.text, seconds, shapes[shape], with_steps ? "true" : "false",
        wait_streams_max(r));
}

long long wait_streams_max(const struct request *r)
{
    int64_t own = r->access.streams;
    return own >= 0 ? own : r->app->config->quotas.streams;
}
