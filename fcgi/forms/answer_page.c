#include "fcgi/forms/answer_page.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/html.h"
#include "base/text_buffer.h"
#include "fcgi/http/reply.h"

static const char style[] =
    "body{margin:0;background:#f4f4f5;color:#18181b;font:1rem/1.5 system-ui,sans-serif}"
    "main{max-width:38rem;margin:2rem auto;padding:1.5rem 2rem;background:#fff;border:1px solid #d4d4d8;"
    "border-radius:.5rem}"
    "h1{font-size:1.3rem}.text{white-space:pre-wrap;overflow-wrap:anywhere}"
    "label{display:block;margin-top:1rem;font-weight:600}small{display:block;color:#52525b}"
    "input,textarea,select{box-sizing:border-box;width:100%;padding:.5rem;font:inherit}"
    "textarea{min-height:6rem}"
    "button{margin:1.2rem .6rem 0 0;padding:.6rem 1.2rem;font:inherit;cursor:pointer;max-width:100%}"
    ".errors{padding:.5rem 1rem .5rem 2rem;border:1px solid #b91c1c;color:#991b1b}"
    "footer{margin-top:2rem;color:#52525b;font-size:.85rem}";

static void add(struct request *r, struct text_buffer *b, const char *html)
{
    text_buffer_append(r, b, html, strlen(html));
}

static void add_element(struct request *r, struct text_buffer *b, const char *open, const char *text,
                        const char *close)
{
    add(r, b, open);
    html_append_text(r, b, text);
    add(r, b, close);
}

static void begin_page(struct request *r, struct text_buffer *b, const char *title)
{
    add(r, b,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"robots\" content=\"noindex, "
        "nofollow\">\n");
    add_element(r, b, "<title>", title, "</title>\n<style>");
    add(r, b, style);
    add_element(r, b, "</style>\n</head>\n<body>\n<main>\n<h1>", title, "</h1>\n");
}

static void add_headers(struct request *r)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL)];
    crypto_hash_sha256(hash, (const unsigned char *)style, sizeof style - 1);
    sodium_bin2base64(text, sizeof text, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL);
    reply_header(r, "Content-Security-Policy",
                 "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; frame-ancestors 'none'; "
                 "base-uri 'none'",
                 text);
    reply_header(r, "Referrer-Policy", "no-referrer");
    reply_header(r, "Cache-Control", "no-store");
    reply_header(r, "X-Content-Type-Options", "nosniff");
    reply_header(r, "X-Frame-Options", "DENY");
    reply_header(r, "X-Robots-Tag", "noindex, nofollow");
}

static int end_page(struct request *r, struct text_buffer *b, int status)
{
    add(r, b, "</main>\n</body>\n</html>\n");
    add_headers(r);
    return reply_bytes(r, status, "text/html; charset=utf-8", text_buffer_text(b), b->size);
}

int answer_page_message(struct request *r, int status, const char *title, const char *text)
{
    struct text_buffer b = {0};
    begin_page(r, &b, title);
    add_element(r, &b, "<p class=\"text\">", text, "</p>\n");
    return end_page(r, &b, status);
}

/* --- the form --- */

static void add_option(struct request *r, struct text_buffer *b, const struct answer_field *f,
                       const char *value, const char *label)
{
    bool chosen = f->value && strcmp(f->value, value) == 0;
    add_element(r, b, "<option value=\"", value, chosen ? "\" selected>" : "\">");
    add_element(r, b, "", label, "</option>");
}

static void add_select(struct request *r, struct text_buffer *b, const struct answer_field *f)
{
    add(r, b, "<option value=\"\"></option>");
    if (f->kind == ANSWER_BOOLEAN) {
        add_option(r, b, f, "true", "Yes");
        add_option(r, b, f, "false", "No");
        return;
    }
    size_t n = json_object_array_length(f->options);
    for (size_t i = 0; i < n; i++) {
        /* the text of a value other than a string is the value's own buffer */
        const char *text = answer_option_text(json_object_array_get_idx(f->options, i));
        if (*text)
            add_option(r, b, f, text, text);
    }
}

static void add_attributes(struct request *r, struct text_buffer *b, const struct answer_field *f, size_t i)
{
    bool required = f->required && f->kind != ANSWER_TEXT && f->kind != ANSWER_LONG_TEXT;
    add(r, b, talloc_asprintf(r, " id=\"field%zu\" dir=\"auto\" autocomplete=\"off\" name=\"", i));
    html_append_text(r, b, f->name);
    add(r, b, required ? "\" required" : "\"");
}

static void add_field(struct request *r, struct text_buffer *b, const struct answer_field *f, size_t i)
{
    add(r, b, talloc_asprintf(r, "<label dir=\"auto\" for=\"field%zu\">", i));
    add_element(r, b, "", f->label, "</label>\n");
    if (f->hint)
        add_element(r, b, "<small dir=\"auto\" class=\"text\">", f->hint, "</small>\n");
    switch (f->kind) {
    case ANSWER_BOOLEAN:
    case ANSWER_ENUM:
        add(r, b, "<select");
        add_attributes(r, b, f, i);
        add(r, b, ">");
        add_select(r, b, f);
        add(r, b, "</select>\n");
        break;
    case ANSWER_LONG_TEXT:
    case ANSWER_JSON:
        add(r, b, "<textarea");
        add_attributes(r, b, f, i);
        /* the first line end after the tag is dropped by browsers */
        add_element(r, b, ">\n", f->value ? f->value : "", "</textarea>\n");
        break;
    default:
        add(r, b,
            f->kind == ANSWER_TEXT ? "<input type=\"text\"" : "<input type=\"text\" inputmode=\"decimal\"");
        add_attributes(r, b, f, i);
        add_element(r, b, " value=\"", f->value ? f->value : "", "\">\n");
    }
}

static void add_buttons(struct request *r, struct text_buffer *b, const struct answer_form *form)
{
    size_t n = form->choices ? json_object_array_length(form->choices) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *label = json_get_text(json_object_array_get_idx(form->choices, i), "label");
        add(r, b, talloc_asprintf(r, "<button dir=\"auto\" name=\"choice\" value=\"%zu\">", i));
        add_element(r, b, "", label ? label : "", "</button>\n");
    }
    if (!form->choices)
        add(r, b, "<button>Send</button>\n");
}

static void add_problems(struct request *r, struct text_buffer *b, const struct json_problems *p)
{
    add(r, b, "<ul class=\"errors\" role=\"alert\">\n");
    for (size_t i = 0; i < p->count; i++) {
        const char *at = p->list[i].pointer;
        add_element(r, b, "<li dir=\"auto\">", *at ? at + 1 : "The answer", " ");
        add_element(r, b, "", p->list[i].message, "</li>\n");
    }
    add(r, b, "</ul>\n");
}

int answer_page_form(struct request *r, int status, const char *question, const struct answer_form *form,
                     const struct json_problems *problems, int64_t until_ms)
{
    char until[CLOCK_TEXT_SIZE];
    struct text_buffer b = {0};
    begin_page(r, &b, "Your answer is requested");
    if (question)
        add_element(r, &b, "<p class=\"text\" dir=\"auto\">", question, "</p>\n");
    if (form->title)
        add_element(r, &b, "<h2 dir=\"auto\">", form->title, "</h2>\n");
    if (form->description)
        add_element(r, &b, "<p class=\"text\" dir=\"auto\">", form->description, "</p>\n");
    if (problems)
        add_problems(r, &b, problems);
    add(r, &b, "<form method=\"post\" accept-charset=\"utf-8\">\n");
    for (size_t i = 0; i < form->fields_n; i++)
        add_field(r, &b, &form->fields[i], i);
    add_buttons(r, &b, form);
    add_element(r, &b, "</form>\n<footer>This link is good for one answer, until ",
                clock_text_z(until_ms, until), ". Never enter a password here.</footer>\n");
    return end_page(r, &b, status);
}
