#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/multipart.h"

struct seen {
    char text[8192];
    int stop_at; /* the event that ends it; 0: none */
    int events;
};

static bool note(struct seen *s, const char *what, const char *bytes, size_t size)
{
    strncat(s->text, what, sizeof s->text - strlen(s->text) - 1);
    strncat(s->text, bytes, size < sizeof s->text - strlen(s->text) - 1 ? size : 0);
    s->events++;
    return s->stop_at == 0 || s->events < s->stop_at;
}

static bool on_part(void *arg, const struct multipart_part *p)
{
    note(arg, "<", p->name, strlen(p->name));
    note(arg, "|", p->filename ? p->filename : "-", p->filename ? strlen(p->filename) : 1);
    return note(arg, "|", p->type ? p->type : "-", p->type ? strlen(p->type) : 1) && note(arg, ":", "", 0);
}

static bool on_data(void *arg, const char *bytes, size_t size)
{
    return note(arg, "", bytes, size);
}

static bool on_end(void *arg)
{
    return note(arg, ">", "", 0);
}

/* Fed in pieces of `piece` bytes. */
static enum err feed(const char *body, size_t size, size_t piece, struct seen *s)
{
    const struct multipart_events events = {on_part, on_data, on_end, s};
    void *ctx = talloc_new(NULL);
    struct multipart *m = multipart_new(ctx, "xy", &events);
    enum err e = OK;
    for (size_t at = 0; e == OK && at < size; at += piece)
        e = multipart_feed(m, body + at, size - at < piece ? size - at : piece);
    if (e == OK)
        e = multipart_finish(m);
    cr_assert(e != ERR_INVALID || *multipart_why(m));
    talloc_free(ctx);
    return e;
}

static const char two[] = "preamble\r\n--xy\r\n"
                          "Content-Disposition: form-data; name=\"files\"; filename=\"a \\\"b\\\".txt\"\r\n"
                          "content-type: text/plain\r\n\r\n"
                          "one\r\n--x\r\n--xz\r\n-\r\n--xy \t\r\n"
                          "Content-Disposition: form-data; filename=C:\\dir\\c; name=files\r\n\r\n"
                          "\r\n--xy--\r\nepilogue --xy";

Test(multipart, any_pieces_tell_the_same)
{
    for (size_t piece = 1; piece < sizeof two; piece++) {
        struct seen s = {0};
        cr_assert_eq(feed(two, sizeof two - 1, piece, &s), OK, "pieces of %zu", piece);
        cr_assert_str_eq(s.text,
                         "<files|a \"b\".txt|text/plain:one\r\n--x\r\n--xz\r\n-><files|C:\\dir\\c|-:>",
                         "pieces of %zu", piece);
    }
}

Test(multipart, what_is_malformed)
{
    static const char *const bodies[] = {
        "",
        "--xy",
        "--xy\r\n",
        "nothing",
        "--xy\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nno end",
        "--xy\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nno end\r\n--xy-",
        "--xy\r\nContent-Disposition: attachment; name=\"f\"\r\n\r\n\r\n--xy--",
        "--xy\r\nContent-Disposition: form-data\r\n\r\n\r\n--xy--",
        "--xy\r\n\r\nno headers\r\n--xy--",
        "--xyz\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\r\n--xyz--",
        "--xy\nContent-Disposition: form-data; name=\"f\"\n\n\n--xy--",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        for (size_t piece = 1; piece < 40; piece += 3) {
            struct seen s = {0};
            cr_expect_eq(feed(bodies[i], strlen(bodies[i]), piece, &s), ERR_INVALID, "%s", bodies[i]);
        }
    }
}

Test(multipart, headers_are_bounded)
{
    char body[MULTIPART_HEADERS_MAX + 200];
    struct seen s = {0};
    memset(body, 'a', sizeof body);
    memcpy(body, "--xy\r\nX: ", 9);
    cr_expect_eq(feed(body, sizeof body, 100, &s), ERR_INVALID);
    cr_expect_eq(s.events, 0);
}

Test(multipart, an_event_may_end_it)
{
    for (int stop = 1; stop <= 8; stop++) {
        struct seen s = {.stop_at = stop};
        enum err e = feed(two, sizeof two - 1, 1000, &s);
        cr_expect_eq(e, ERR_CONFLICT, "stopped at %d", stop);
        cr_expect_leq(s.events, stop + 3);
    }
}

Test(multipart, boundaries)
{
    void *ctx = talloc_new(NULL);
    cr_expect_str_eq(multipart_boundary(ctx, "multipart/form-data; boundary=abc"), "abc");
    cr_expect_str_eq(multipart_boundary(ctx, "Multipart/Form-Data; charset=x ; Boundary=\"a b\""), "a b");
    cr_expect_null(multipart_boundary(ctx, "multipart/form-data"));
    cr_expect_null(multipart_boundary(ctx, "multipart/form-data; boundary="));
    cr_expect_null(multipart_boundary(ctx, "multipart/form-data; boundary=\"a "));
    cr_expect_null(multipart_boundary(ctx, "multipart/form-data; boundary=\"a \""));
    cr_expect_null(multipart_boundary(ctx, "multipart/form-data; boundary=a\x01"));
    cr_expect_null(multipart_boundary(ctx, "multipart/mixed; boundary=abc"));
    char *seventy_one = talloc_asprintf(ctx, "multipart/form-data; boundary=%071d", 1);
    cr_expect_null(multipart_boundary(ctx, seventy_one));
    cr_expect_not_null(
        multipart_boundary(ctx, talloc_asprintf(ctx, "multipart/form-data; boundary=%070d", 1)));
    talloc_free(ctx);
}
