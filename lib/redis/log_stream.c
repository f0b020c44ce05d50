#include "redis/log_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "redis/keys.h"

/* --- positions --- */

/* Reads decimal digits, all of the text. */
static bool parse_number(const char *text, size_t size, uint64_t *number_r)
{
    char digits[LOG_POSITION_SIZE];
    if (size == 0 || size >= sizeof digits)
        return false;
    memcpy(digits, text, size);
    digits[size] = '\0';
    if (strspn(digits, "0123456789") != size)
        return false;
    errno = 0;
    *number_r = strtoull(digits, NULL, 10);
    return errno == 0;
}

bool log_position_parse(const char *text, size_t size, struct log_position *position_r)
{
    const char *dash = memchr(text, '-', size);
    if (!dash)
        return false;
    size_t head = (size_t)(dash - text);
    return parse_number(text, head, &position_r->ms) &&
           parse_number(dash + 1, size - head - 1, &position_r->seq);
}

const char *log_position_text(struct log_position position, char text[LOG_POSITION_SIZE])
{
    snprintf(text, LOG_POSITION_SIZE, "%" PRIu64 "-%" PRIu64, position.ms, position.seq);
    return text;
}

int log_position_compare(struct log_position a, struct log_position b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

/* --- writing --- */

void log_stream_queue(struct redis *r, int64_t entries_max, const char *host, const char *lines, size_t size)
{
    void *ctx = talloc_new(NULL);
    /* "~": Redis removes whole nodes of the stream, which is cheap */
    const struct redis_arg args[] = {redis_text("XADD"),
                                     redis_key_executor_log(ctx),
                                     redis_text("MAXLEN"),
                                     redis_text("~"),
                                     redis_number(ctx, entries_max),
                                     redis_text("*"),
                                     redis_text("host"),
                                     redis_text(host),
                                     redis_text("lines"),
                                     redis_bytes(lines, size)};
    redis_queue(r, args, sizeof args / sizeof args[0]);
    talloc_free(ctx);
}

/* --- reading --- */

/* An entry is [id, [name, value, name, value…]]. What is none is left out: another release may write others.
 */
static bool read_entry(const struct redis_value *v, struct log_entry *entry_r)
{
    *entry_r = (struct log_entry){0};
    if (v->kind != REDIS_LIST || v->count != 2 || v->items[0].kind != REDIS_TEXT ||
        v->items[1].kind != REDIS_LIST ||
        !log_position_parse(v->items[0].text, v->items[0].size, &entry_r->at))
        return false;
    const struct redis_value *fields = v->items[1].items;
    for (size_t i = 0; i + 1 < v->items[1].count; i += 2) {
        if (fields[i].kind != REDIS_TEXT || fields[i + 1].kind != REDIS_TEXT)
            return false;
        if (strcmp(fields[i].text, "host") == 0)
            entry_r->host = fields[i + 1].text;
        if (strcmp(fields[i].text, "lines") == 0) {
            entry_r->lines = fields[i + 1].text;
            entry_r->size = fields[i + 1].size;
        }
    }
    return entry_r->host && entry_r->lines;
}

static enum err read_range(struct redis *r, void *ctx, const struct redis_arg *args, size_t n,
                           struct log_entry **entries_r, size_t *n_r)
{
    struct redis_value answer;
    *entries_r = NULL;
    *n_r = 0;
    enum err e = redis_call(r, ctx, args, n, &answer);
    if (e != OK)
        return e;
    if (answer.kind != REDIS_LIST)
        return ERR_UNAVAILABLE;
    *entries_r = talloc_zero_array(ctx, struct log_entry, answer.count + 1);
    for (size_t i = 0; i < answer.count; i++)
        *n_r += read_entry(&answer.items[i], &(*entries_r)[*n_r]);
    return OK;
}

enum err log_stream_read(struct redis *r, void *ctx, struct log_position after, size_t max,
                         struct log_entry **entries_r, size_t *n_r)
{
    char text[LOG_POSITION_SIZE], from[LOG_POSITION_SIZE + 1];
    snprintf(from, sizeof from, "(%s", log_position_text(after, text));
    const struct redis_arg args[] = {redis_text("XRANGE"), redis_key_executor_log(ctx),
                                     redis_text(from),     redis_text("+"),
                                     redis_text("COUNT"),  redis_number(ctx, (int64_t)max)};
    return read_range(r, ctx, args, sizeof args / sizeof args[0], entries_r, n_r);
}

enum err log_stream_newest(struct redis *r, void *ctx, size_t back, struct log_position *position_r,
                           struct log_position *end_r)
{
    struct log_entry *entries;
    size_t n;
    /* one more: the position is that of the entry before the first one that is wanted */
    const struct redis_arg args[] = {redis_text("XREVRANGE"), redis_key_executor_log(ctx),
                                     redis_text("+"),         redis_text("-"),
                                     redis_text("COUNT"),     redis_number(ctx, (int64_t)back + 1)};
    enum err e = read_range(r, ctx, args, sizeof args / sizeof args[0], &entries, &n);
    *position_r = *end_r = (struct log_position){0};
    if (e == OK && n > back)
        *position_r = entries[back].at;
    if (e == OK && n > 0)
        *end_r = entries[0].at;
    return e;
}

enum err log_stream_oldest(struct redis *r, void *ctx, struct log_position *oldest_r)
{
    struct log_entry *entries;
    size_t n;
    const struct redis_arg args[] = {redis_text("XRANGE"), redis_key_executor_log(ctx), redis_text("-"),
                                     redis_text("+"),      redis_text("COUNT"),         redis_text("1")};
    enum err e = read_range(r, ctx, args, sizeof args / sizeof args[0], &entries, &n);
    *oldest_r = e == OK && n > 0 ? entries[0].at : (struct log_position){0};
    return e;
}
