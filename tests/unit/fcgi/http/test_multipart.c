#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/multipart.h"

struct multipart_record {
    char text[8192];
    /* Number of the event that aborts parsing; 0: none. */
    int stop_at;
    int events;
};

static bool record_event(struct multipart_record *s, const char *what, const char *bytes, size_t size)
{
    strncat(s->text, what, sizeof s->text - strlen(s->text) - 1);
    strncat(s->text, bytes, size < sizeof s->text - strlen(s->text) - 1 ? size : 0);
    s->events++;
    return s->stop_at == 0 || s->events < s->stop_at;
}

static bool record_part(void *arg, const struct multipart_part *p)
{
    record_event(arg, "<", p->name, strlen(p->name));
    record_event(arg, "|", p->filename ? p->filename : "-", p->filename ? strlen(p->filename) : 1);
    return record_event(arg, "|", p->type ? p->type : "-", p->type ? strlen(p->type) : 1) &&
           record_event(arg, ":", "", 0);
}

static bool record_data(void *arg, const char *bytes, size_t size)
{
    return record_event(arg, "", bytes, size);
}

static bool record_end(void *arg)
{
    return record_event(arg, ">", "", 0);
}

/* Feeds the body in pieces of `chunk` bytes. */
static enum err feed_body(const char *body, size_t size, size_t chunk, struct multipart_record *s)
{
    const struct multipart_events events = {record_part, record_data, record_end, s};
    void *ctx = talloc_new(NULL);
    struct multipart *m = multipart_new(ctx, "xy", &events);
    enum err e = OK;
    for (size_t at = 0; e == OK && at < size; at += chunk)
        e = multipart_feed(m, body + at, size - at < chunk ? size - at : chunk);
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

Test(multipart, chunk_size_does_not_change_the_events)
{
    for (size_t chunk = 1; chunk < sizeof two; chunk++) {
        struct multipart_record s = {0};
        cr_assert_eq(feed_body(two, sizeof two - 1, chunk, &s), OK, "pieces of %zu", chunk);
        cr_assert_str_eq(s.text,
                         "<files|a \"b\".txt|text/plain:one\r\n--x\r\n--xz\r\n-><files|C:\\dir\\c|-:>",
                         "pieces of %zu", chunk);
    }
}

Test(multipart, rejects_malformed_bodies)
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
        for (size_t chunk = 1; chunk < 40; chunk += 3) {
            struct multipart_record s = {0};
            cr_expect_eq(feed_body(bodies[i], strlen(bodies[i]), chunk, &s), ERR_INVALID, "%s", bodies[i]);
        }
    }
}

Test(multipart, limits_the_header_size)
{
    char body[MULTIPART_HEADERS_MAX + 200];
    struct multipart_record s = {0};
    memset(body, 'a', sizeof body);
    memcpy(body, "--xy\r\nX: ", 9);
    cr_expect_eq(feed_body(body, sizeof body, 100, &s), ERR_INVALID);
    cr_expect_eq(s.events, 0);
}

Test(multipart, an_event_can_abort_parsing)
{
    for (int stop = 1; stop <= 8; stop++) {
        struct multipart_record s = {.stop_at = stop};
        enum err e = feed_body(two, sizeof two - 1, 1000, &s);
        cr_expect_eq(e, ERR_CONFLICT, "stopped at %d", stop);
        cr_expect_leq(s.events, stop + 3);
    }
}

Test(multipart, parses_boundaries)
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

/* The name that the parser reports for a Content-Disposition. */
static const char *filename_of(void *ctx, const char *parameters)
{
    struct multipart_record s = {0};
    const struct multipart_events events = {record_part, record_data, record_end, &s};
    struct multipart *m = multipart_new(ctx, "b", &events);
    char *body = talloc_asprintf(
        ctx, "--b\r\nContent-Disposition: form-data; name=\"files\"; %s\r\n\r\n\r\n--b--\r\n", parameters);
    cr_assert_eq(multipart_feed(m, body, strlen(body)), OK);
    const char *name = strchr(s.text, '|') + 1;
    return talloc_strndup(ctx, name, strcspn(name, "|"));
}

Test(multipart, file_names_as_clients_send_them)
{
    static const struct {
        const char *parameters, *name;
    } rows[] = {
        {"filename=\"a%22b.txt\"", "a\"b.txt"},
        {"filename=\"a%0D%0ab%41%2.txt\"", "a\r\nb%41%2.txt"},
        {"filename=\"50%.txt\"", "50%.txt"},
        {"filename*=utf-8''na%C3%AFve%20%22x%22.txt", "na\u00efve \"x\".txt"},
        {"filename=\"old.txt\"; filename*=UTF-8'en'new%e2%82%ac", "new\u20ac"},
        {"FILENAME*=ISO-8859-1''%e9t%E9; filename=x", "\u00e9t\u00e9"},
        {"filename*=utf-8''%ff; filename=\"kept\"", "kept"},
        {"filename*=utf-8''%00a; filename=\"kept\"", "kept"},
        {"filename*=utf-8''%4; filename=\"kept\"", "kept"},
        {"filename*=koi8-r''x; filename=\"kept\"", "kept"},
        {"filename*=utf-8'x; filename=\"kept\"", "kept"},
        {"filename=\"a;b, c=d.txt\"", "a;b, c=d.txt"},
    };
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_str_eq(filename_of(ctx, rows[i].parameters), rows[i].name, "%s", rows[i].parameters);
    talloc_free(ctx);
}
