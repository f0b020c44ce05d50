#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "stream/feed_json.h"

enum { ROWS = 500, LIMIT = 128 * 1024 };

/* Rows whose tags are 32 texts of `tag_size` octets. */
static struct feed_row *make_rows(void *ctx, int tag_size)
{
    struct feed_row *rows = talloc_zero_array(ctx, struct feed_row, ROWS);
    char *tags = talloc_strdup(ctx, "[");
    for (int i = 0; i < 32; i++)
        tags = talloc_asprintf_append(tags, "%s\"%0*d\"", i ? "," : "", tag_size, i);
    tags = talloc_strdup_append(tags, "]");
    for (int i = 0; i < ROWS; i++)
        rows[i] = (struct feed_row){.id = i + 1, .state = STATE_SUCCEEDED, .tags = tags};
    return rows;
}

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

Test(feed_json, a_page_ends_at_its_limit_of_bytes)
{
    void *ctx = talloc_new(NULL);
    struct feed_row *rows = make_rows(ctx, 256);
    size_t *ends = talloc_zero_array(ctx, size_t, ROWS + 1);
    char *one = talloc_strdup(ctx, ""), *out = talloc_strdup(ctx, "");
    feed_json_append(&one, &rows[ROWS - 1]);
    size_t n = feed_page_append(&out, ends, rows, ROWS, LIMIT);
    cr_expect(n > 0 && n < ROWS);
    cr_expect(strlen(out) >= LIMIT && strlen(out) < LIMIT + strlen(one));
    cr_expect_eq(ends[n], strlen(out));
    cr_expect_eq(count_of(out, "\ndata: "), n);
    talloc_free(ctx);
}

Test(feed_json, pages_follow_one_another_without_a_hole)
{
    void *ctx = talloc_new(NULL);
    struct feed_row *rows = make_rows(ctx, 64);
    size_t *ends = talloc_zero_array(ctx, size_t, ROWS + 1);
    char *whole = talloc_strdup(ctx, ""), *parts = talloc_strdup(ctx, "");
    cr_expect_eq(feed_page_append(&whole, ends, rows, ROWS, SIZE_MAX), ROWS);
    for (size_t at = 0, n; at < ROWS; at += n) {
        char *out = talloc_strdup(ctx, "");
        n = feed_page_append(&out, ends, rows + at, ROWS - at, 1);
        cr_assert_eq(n, 1, "an empty page takes one event, however large");
        parts = talloc_strdup_append(parts, out);
    }
    cr_expect_str_eq(parts, whole);
    talloc_free(ctx);
}
