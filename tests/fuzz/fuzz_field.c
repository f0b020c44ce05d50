/* Fuzzes header lists, Retry-After and dates. Elements lie in the field in order, and parameters in their
 * element; a weight is within its bounds; a date that is accepted is written and read as the same time. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/field.h"
#include "executor/io/retry_after.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool held)
{
    if (!held)
        abort();
}

static void try_item(void *ctx, struct span item)
{
    struct span rest = item;
    char *name, *value;
    size_t left = rest.size + 1;
    while (field_next_parameter(ctx, &rest, &name, &value)) {
        need(rest.size < left && rest.at + rest.size == item.at + item.size);
        need(!value || strlen(name) + strlen(value) < left);
        left = rest.size;
    }
    int weight = field_weight(ctx, item);
    need(weight >= 0 && weight <= 1000);
}

static void try_list(void *ctx, const char *text)
{
    const char *before = text;
    struct span item;
    for (const char *p = text; (p = field_next_item(p, &item)); before = p) {
        need(item.at >= before && item.size > 0 && item.at + item.size <= p);
        need(*item.at != ' ' && item.at[item.size - 1] != ' ');
        try_item(ctx, item);
    }
    struct field_match m = field_match_media(ctx, text, "text", "csv");
    need(m.weight >= 0 && m.weight <= 1000 && (m.specificity > 0 || m.weight == 0));
}

/* RFC 3339 texts have at most one time, and each time one canonical text. */
static void try_date(int64_t ms)
{
    char text[CLOCK_TEXT_SIZE];
    need(ms >= -1);
    if (ms >= 0 && ms < INT64_C(253402300800000)) {
        need(clock_parse(clock_text_z(ms, text)) == ms);
        need(clock_parse(clock_text_offset(ms, text)) == ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *ctx = talloc_new(NULL);
    char *text = talloc_strndup(ctx, (const char *)data, size);
    try_list(ctx, text);
    try_date(clock_parse(text));
    try_date(clock_parse_http(text));
    int64_t ms = retry_after_parse(text, INT64_C(784111777000));
    need(ms >= 0 && ms <= RETRY_AFTER_MAX_MS);
    talloc_free(ctx);
    return 0;
}
