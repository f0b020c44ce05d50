#include <criterion/criterion.h>
#include <talloc.h>

#include "fcgi/forms/page.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

static struct request *new_request(void)
{
    static char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/x";
    static char *params[] = {method, uri, NULL};
    bool ok;
    return request_new(NULL, NULL, params, &ok);
}

static void write_rows(struct page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        json_write_open(page->w, '{');
        json_write_int(page->w, "n", (int64_t)i);
        json_write_close(page->w, '}');
    }
}

Test(page, the_last_page_has_no_cursor)
{
    struct request *r = new_request();
    struct page page = page_begin(r, "things", 2, 2);
    cr_assert_eq(page.count, 2);
    cr_assert_not(page.has_more);
    write_rows(&page);
    cr_assert_eq(page_reply(r, &page, NULL), 200);
    cr_assert_str_eq(r->reply.body,
                     "{\"things\":[{\"n\":0},{\"n\":1}],\"has_more\":false,\"next_cursor\":null}");
    talloc_free(r);
}

Test(page, the_additional_row_is_not_shown)
{
    struct request *r = new_request();
    struct page page = page_begin(r, "things", 2, 1);
    cr_assert_eq(page.count, 1);
    cr_assert(page.has_more);
    write_rows(&page);
    page_reply(r, &page, "c");
    cr_assert_str_eq(r->reply.body, "{\"things\":[{\"n\":0}],\"has_more\":true,\"next_cursor\":\"c\"}");
    talloc_free(r);
}

Test(page, an_empty_page_is_an_empty_list)
{
    struct request *r = new_request();
    struct page page = page_begin(r, "things", 0, 10);
    write_rows(&page);
    page_reply(r, &page, NULL);
    cr_assert_str_eq(r->reply.body, "{\"things\":[],\"has_more\":false,\"next_cursor\":null}");
    talloc_free(r);
}

Test(page, a_numbered_page_has_its_number)
{
    struct request *r = new_request();
    struct page page = page_begin(r, "things", 1, 10);
    write_rows(&page);
    cr_assert_eq(page_reply_numbered(r, &page, 3, 10), 200);
    cr_assert_str_eq(r->reply.body,
                     "{\"things\":[{\"n\":0}],\"has_more\":false,\"pageNumber\":3,\"pageSize\":10}");
    talloc_free(r);
}
