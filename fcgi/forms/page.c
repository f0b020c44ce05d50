#include "fcgi/forms/page.h"

#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

struct page page_begin(struct request *r, const char *name, size_t rows, int64_t limit)
{
    bool has_more = rows > (size_t)limit;
    struct page page = {.w = json_write_new(r), .count = rows - has_more, .has_more = has_more};
    json_write_open(page.w, '{');
    json_write_key(page.w, name);
    json_write_open(page.w, '[');
    return page;
}

static void end_list(struct page *page)
{
    json_write_close(page->w, ']');
    json_write_flag(page->w, "has_more", page->has_more);
}

int page_reply(struct request *r, struct page *page, const char *next_cursor)
{
    end_list(page);
    json_write_text(page->w, "next_cursor", next_cursor);
    json_write_close(page->w, '}');
    return reply_written(r, 200, page->w);
}

int page_reply_timed(struct request *r, struct page *page, const char *next_cursor, const char *name,
                     int64_t ms)
{
    end_list(page);
    json_write_text(page->w, "next_cursor", next_cursor);
    json_write_time(page->w, name, ms, false);
    json_write_close(page->w, '}');
    return reply_written(r, 200, page->w);
}

int page_reply_numbered(struct request *r, struct page *page, int64_t number, int64_t size)
{
    end_list(page);
    json_write_int(page->w, "pageNumber", number);
    json_write_int(page->w, "pageSize", size);
    json_write_close(page->w, '}');
    return reply_written(r, 200, page->w);
}
