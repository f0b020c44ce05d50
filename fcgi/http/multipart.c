#define _GNU_SOURCE /* memmem */
#include "fcgi/http/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/field.h"
#include "base/utf8.h"

enum {
    /* CR LF - - boundary */
    DELIMITER_MAX = 4 + MULTIPART_BOUNDARY_MAX,
    /* White space between a delimiter and the end of its line. */
    PADDING_MAX = 64,
    PENDING_MAX = 64 * 1024,
};

enum multipart_state { PREAMBLE, AFTER_DELIMITER, HEADERS, DATA, EPILOGUE, FAILED };

struct multipart {
    struct multipart_events events;
    char delimiter[DELIMITER_MAX + 1];
    size_t delimiter_n;
    enum multipart_state state;
    bool in_part;
    enum err error;
    const char *why;
    size_t used;
    /* Bytes that may be the beginning of a delimiter, or incomplete headers. */
    char pending[PENDING_MAX];
};

/* --- the boundary --- */

static bool is_boundary_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("'()+_,-./:=? ", c));
}

static const char *multipart_skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* The value of the named parameter of the field; NULL if absent. */
static char *find_parameter(void *ctx, const char *field, const char *name)
{
    char *key, *value;
    struct span rest = {field, strlen(field)};
    while (field_next_parameter(ctx, &rest, &key, &value)) {
        if (value && strcasecmp(key, name) == 0)
            return value;
    }
    return NULL;
}

/* --- names --- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet that the three characters at p, such as "%22", encode; -1: they encode none. */
static int percent_octet(const char *p)
{
    int high = p[0] == '%' ? hex_value(p[1]) : -1;
    int low = high >= 0 ? hex_value(p[2]) : -1;
    return low < 0 ? -1 : high << 4 | low;
}

/* Decodes in place what browsers encode in a name: %22, %0D and %0A, and nothing else (HTML,
 * "multipart/form-data encoding algorithm"). */
static char *decode_form_name(char *name)
{
    char *out = name;
    for (const char *p = name; p && *p;) {
        int octet = percent_octet(p);
        bool encoded = octet == '"' || octet == '\r' || octet == '\n';
        *out++ = encoded ? (char)octet : *p;
        p += encoded ? 3 : 1;
    }
    if (name)
        *out = '\0';
    return name;
}

/* Appends an octet of ISO-8859-1 as UTF-8. */
static char *append_latin1(char *out, unsigned char octet)
{
    if (octet >= 0x80)
        *out++ = (char)(0xc0 | octet >> 6);
    *out++ = (char)(octet >= 0x80 ? 0x80 | (octet & 0x3f) : octet);
    return out;
}

/* The text of an extended value (RFC 8187) such as UTF-8'de'na%C3%AFve, in UTF-8; NULL: malformed. */
static const char *decode_extended(void *ctx, const char *value)
{
    size_t charset_n = strcspn(value, "'");
    const char *language = value[charset_n] ? value + charset_n + 1 : "";
    const char *p = strchr(language, '\'');
    bool latin1 = charset_n == 10 && strncasecmp(value, "ISO-8859-1", 10) == 0;
    if (!p || (!latin1 && (charset_n != 5 || strncasecmp(value, "UTF-8", 5) != 0)))
        return NULL;
    char *text = talloc_size(ctx, 2 * strlen(p) + 1), *out = text;
    for (p++; *p;) {
        int octet = percent_octet(p);
        if (octet == 0 || (*p == '%' && octet < 0))
            return NULL;
        unsigned char c = octet > 0 ? (unsigned char)octet : (unsigned char)*p;
        p += octet > 0 ? 3 : 1;
        if (latin1)
            out = append_latin1(out, c);
        else
            *out++ = (char)c;
    }
    *out = '\0';
    return utf8_is_valid(text, (size_t)(out - text)) ? text : NULL;
}

/* filename* takes precedence over filename (RFC 6266, section 4.3); a malformed one is ignored. */
static const char *find_filename(void *ctx, const char *disposition)
{
    const char *extended = find_parameter(ctx, disposition, "filename*");
    const char *name = extended ? decode_extended(ctx, extended) : NULL;
    return name ? name : decode_form_name(find_parameter(ctx, disposition, "filename"));
}

/* --- the media type --- */

const char *multipart_boundary(void *ctx, const char *content_type)
{
    static const char type[] = "multipart/form-data";
    size_t n = strcspn(content_type, "; \t");
    if (n != sizeof type - 1 || strncasecmp(content_type, type, n) != 0)
        return NULL;
    const char *boundary = find_parameter(ctx, content_type, "boundary");
    size_t size = boundary ? strlen(boundary) : 0;
    if (size == 0 || size > MULTIPART_BOUNDARY_MAX || boundary[size - 1] == ' ')
        return NULL;
    for (size_t i = 0; i < size; i++) {
        if (!is_boundary_char(boundary[i]))
            return NULL;
    }
    return boundary;
}

/* --- parts --- */

struct multipart *multipart_new(void *ctx, const char *boundary, const struct multipart_events *events)
{
    struct multipart *m = talloc(ctx, struct multipart);
    m->events = *events;
    m->delimiter_n = (size_t)snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%s", boundary);
    m->state = PREAMBLE;
    m->in_part = false;
    m->error = OK;
    m->why = NULL;
    /* The first delimiter may stand at the beginning of the body: act as if a line ended before it. */
    memcpy(m->pending, "\r\n", 2);
    m->used = 2;
    return m;
}

const char *multipart_why(const struct multipart *m)
{
    return m->why ? m->why : "parsing was aborted";
}

static void set_malformed(struct multipart *m, const char *why)
{
    m->state = FAILED;
    m->error = ERR_INVALID;
    m->why = why;
}

static void set_aborted(struct multipart *m)
{
    m->state = FAILED;
    m->error = ERR_CONFLICT;
}

static void discard_bytes(struct multipart *m, size_t n)
{
    memmove(m->pending, m->pending + n, m->used - n);
    m->used -= n;
}

/* Delivers the first `n` pending bytes as data of the part; outside a part it discards them. */
static void deliver_bytes(struct multipart *m, size_t n)
{
    if (n > 0 && m->state == DATA && !m->events.data(m->events.arg, m->pending, n))
        set_aborted(m);
    discard_bytes(m, n);
}

/* Delivers data up to the next delimiter. False if the state did not change: more bytes are needed, or
 * parsing has failed. */
static bool find_delimiter(struct multipart *m)
{
    const char *at = memmem(m->pending, m->used, m->delimiter, m->delimiter_n);
    size_t decided = at                             ? (size_t)(at - m->pending)
                     : m->used + 1 > m->delimiter_n ? m->used + 1 - m->delimiter_n
                                                    : 0;
    deliver_bytes(m, decided);
    if (!at || m->state == FAILED)
        return false;
    discard_bytes(m, m->delimiter_n);
    if (m->in_part && !m->events.end(m->events.arg)) {
        set_aborted(m);
        return false;
    }
    m->in_part = false;
    m->state = AFTER_DELIMITER;
    return true;
}

/* After a delimiter, "--" marks the last one; otherwise white space and the end of the line follow. */
static bool read_after_delimiter(struct multipart *m)
{
    if (m->used < 2)
        return false;
    if (memcmp(m->pending, "--", 2) == 0) {
        m->state = EPILOGUE;
        return true;
    }
    size_t n = 0;
    while (n < m->used && (m->pending[n] == ' ' || m->pending[n] == '\t'))
        n++;
    if (n > PADDING_MAX) {
        set_malformed(m, "a delimiter is not followed by the end of its line");
        return false;
    }
    if (m->used < n + 2)
        return false;
    if (memcmp(m->pending + n, "\r\n", 2) != 0) {
        set_malformed(m, "a delimiter is not followed by the end of its line");
        return false;
    }
    /* The end of the line stays, so that a part without headers also ends with an empty line. */
    discard_bytes(m, n);
    m->state = HEADERS;
    return true;
}

static void read_part_header(void *ctx, char *line, struct multipart_part *part, bool *form_r)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return;
    *colon = '\0';
    const char *value = multipart_skip_blanks(colon + 1);
    if (strcasecmp(line, "Content-Type") == 0) {
        part->type = value;
    } else if (strcasecmp(line, "Content-Disposition") == 0) {
        *form_r = strncasecmp(value, "form-data", 9) == 0 && (!value[9] || strchr("; \t", value[9]));
        part->name = decode_form_name(find_parameter(ctx, value, "name"));
        part->filename = find_filename(ctx, value);
    }
}

static void begin_part(struct multipart *m, char *headers)
{
    void *ctx = talloc_new(m);
    struct multipart_part part = {0};
    bool form = false;
    for (char *line = headers, *next; line; line = next) {
        next = strstr(line, "\r\n");
        if (next) {
            *next = '\0';
            next += 2;
        }
        read_part_header(ctx, line, &part, &form);
    }
    if (!form || !part.name)
        set_malformed(m, "a part has no Content-Disposition: form-data with a name");
    else if (!m->events.part(m->events.arg, &part))
        set_aborted(m);
    talloc_free(ctx);
}

static bool read_headers(struct multipart *m)
{
    const char *end = memmem(m->pending, m->used, "\r\n\r\n", 4);
    size_t n = end ? (size_t)(end - m->pending) : m->used;
    if (n > MULTIPART_HEADERS_MAX) {
        set_malformed(m, "the headers of a part are too long");
        return false;
    }
    if (!end)
        return false;
    if (memchr(m->pending, '\0', n)) {
        set_malformed(m, "a header holds a NUL");
        return false;
    }
    char *headers = n > 2 ? talloc_strndup(m, m->pending + 2, n - 2) : talloc_strdup(m, "");
    discard_bytes(m, n + 4);
    m->state = DATA;
    m->in_part = true;
    begin_part(m, headers);
    talloc_free(headers);
    return m->state != FAILED;
}

/* Parses as far as the pending bytes allow. */
static void multipart_advance(struct multipart *m)
{
    bool more = true;
    while (more) {
        switch (m->state) {
        case PREAMBLE:
        case DATA:
            more = find_delimiter(m);
            break;
        case AFTER_DELIMITER:
            more = read_after_delimiter(m);
            break;
        case HEADERS:
            more = read_headers(m);
            break;
        case EPILOGUE:
            m->used = 0;
            more = false;
            break;
        case FAILED:
            more = false;
            break;
        }
    }
}

enum err multipart_feed(struct multipart *m, const char *bytes, size_t size)
{
    while (size > 0 && m->error == OK) {
        size_t n = PENDING_MAX - m->used < size ? PENDING_MAX - m->used : size;
        memcpy(m->pending + m->used, bytes, n);
        m->used += n;
        bytes += n;
        size -= n;
        multipart_advance(m);
    }
    return m->error;
}

enum err multipart_finish(struct multipart *m)
{
    if (m->error == OK && m->state != EPILOGUE)
        set_malformed(m, "the last delimiter is missing");
    return m->error;
}
