/* The reply of a list: {"NAME": [...], "has_more": ..., "next_cursor": ...}. A handler reads one row more
 * than the page holds, so that the additional row shows whether there is another page:
 *
 *     struct page page = page_begin(r, "files", n, limit);
 *     for (size_t i = 0; i < page.count; i++)
 *         write_file_json(page.w, &list[i]);
 *     return page_reply(r, &page, page.has_more ? list[page.count - 1].name : NULL); */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/json_write.h"

struct request;

struct page {
    struct json_write *w;
    /* Number of rows to write. */
    size_t count;
    bool has_more;
};

/* Begins the list `name`. `rows` is the number of rows read with a limit of `limit` + 1; limit is at least
 * 1. */
struct page page_begin(struct request *r, const char *name, size_t rows, int64_t limit);
/* Ends the list and replies 200. `next_cursor` is NULL on the last page. */
int page_reply(struct request *r, struct page *page, const char *next_cursor);
/* The same with a further member, a time; 0 is written as null. */
int page_reply_timed(struct request *r, struct page *page, const char *next_cursor, const char *name,
                     int64_t ms);
/* The same for a page by number: pageNumber and pageSize instead of next_cursor. */
int page_reply_numbered(struct request *r, struct page *page, int64_t number, int64_t size);
