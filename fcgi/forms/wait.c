#include "fcgi/forms/wait.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

static const char *prefer_skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* The seconds of a preference "wait = 10", 0 for any other preference. */
static int parse_preference(const char *p)
{
    char *end;
    if (strncasecmp(p, "wait", 4) != 0)
        return 0;
    p = prefer_skip_blanks(p + 4);
    if (*p != '=')
        return 0;
    p = prefer_skip_blanks(p + 1);
    bool quoted = *p == '"';
    p += quoted;
    if (*p < '0' || *p > '9')
        return 0;
    long n = strtol(p, &end, 10);
    end = (char *)prefer_skip_blanks(end + (quoted && *end == '"'));
    if (*end && *end != ',' && *end != ';')
        return 0;
    return n > WAIT_MAX_S ? WAIT_MAX_S : (int)n;
}

/* The seconds of the first wait preference in a field such as "respond-async, wait=10"; 0 if there is
 * none. */
static int parse_prefer_field(const char *field)
{
    for (const char *p = field; *p; p += *p == ',') {
        p = prefer_skip_blanks(p);
        int n = parse_preference(p);
        if (n > 0)
            return n;
        p += strcspn(p, ",");
    }
    return 0;
}

int wait_from_prefer_header(const struct request *r)
{
    static const char name[] = "HTTP_PREFER=";
    for (char **p = r->params; *p; p++) {
        int n = strncmp(*p, name, sizeof name - 1) == 0 ? parse_prefer_field(*p + sizeof name - 1) : 0;
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
