#include "stream/log_text.h"

#include <inttypes.h>
#include <talloc.h>

#include "json/json.h"

/* The whole log of a skill is at the same URL, without follow. */
static void append_gap(char **out, json_object *data)
{
    int64_t omitted = json_object_get_int64(json_get(data, "omitted_bytes"));
    if (omitted > 0)
        *out = talloc_asprintf_append_buffer(*out, "\n[%" PRId64 " bytes are left out here]\n", omitted);
}

void log_text_append(char **out, enum event_type type, const char *json, size_t size)
{
    json_object *event;
    const char *why;
    if (type != EVENT_LOG)
        return;
    void *scratch = talloc_new(NULL);
    if (json_parse_tolerant(scratch, json, size, JSON_DEPTH_MAX, &event, &why) == OK) {
        json_object *data = json_get(event, "data");
        struct span text = json_span(json_get(data, "text"));
        if (text.size > 0)
            *out = talloc_strndup_append_buffer(*out, text.at, text.size);
        append_gap(out, data);
    }
    talloc_free(scratch);
}
