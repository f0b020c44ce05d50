#define _GNU_SOURCE /* memrchr */
#include "schema/format.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "schema/regex.h"

/* A cursor over the text. Each take_* function consumes the item in its name, if it is present. */
struct format_cursor {
    const char *at;
    const char *end;
};

static bool take_char(struct format_cursor *c, char wanted)
{
    if (c->at >= c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_letter(struct format_cursor *c, char wanted)
{
    if (c->at >= c->end || (*c->at | 0x20) != wanted)
        return false;
    c->at++;
    return true;
}

/* Consumes exactly `count` digits and returns their value, or -1. */
static int take_digits(struct format_cursor *c, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++, c->at++) {
        if (c->at >= c->end || *c->at < '0' || *c->at > '9')
            return -1;
        value = value * 10 + (*c->at - '0');
    }
    return value;
}

/* Consumes one or more digits, without an upper limit. */
static bool take_number(struct format_cursor *c)
{
    const char *start = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > start;
}

static bool at_end(const struct format_cursor *c)
{
    return c->at == c->end;
}

static bool take_date(struct format_cursor *c)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_digits(c, 4);
    if (year < 0 || !take_char(c, '-'))
        return false;
    int month = take_digits(c, 2);
    if (month < 1 || month > 12 || !take_char(c, '-'))
        return false;
    int day = take_digits(c, 2);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* The full-time of RFC 3339. A second of 60 is accepted only at 23:59:60 UTC. */
static bool take_time(struct format_cursor *c)
{
    int hour = take_digits(c, 2);
    if (hour < 0 || hour > 23 || !take_char(c, ':'))
        return false;
    int minute = take_digits(c, 2);
    if (minute < 0 || minute > 59 || !take_char(c, ':'))
        return false;
    int second = take_digits(c, 2);
    if (second < 0 || second > 60)
        return false;
    if (take_char(c, '.') && !take_number(c))
        return false;
    int offset = 0;
    if (!take_letter(c, 'z')) {
        int sign = take_char(c, '+') ? 1 : take_char(c, '-') ? -1 : 0;
        int hours = sign ? take_digits(c, 2) : -1;
        if (hours < 0 || hours > 23 || !take_char(c, ':'))
            return false;
        int minutes = take_digits(c, 2);
        if (minutes < 0 || minutes > 59)
            return false;
        offset = sign * (hours * 60 + minutes);
    }
    return second < 60 || (hour * 60 + minute - offset + 2880) % 1440 == 1439;
}

static bool format_date(const char *text, size_t size)
{
    struct format_cursor c = {text, text + size};
    return take_date(&c) && at_end(&c);
}

static bool format_time(const char *text, size_t size)
{
    struct format_cursor c = {text, text + size};
    return take_time(&c) && at_end(&c);
}

static bool format_date_time(const char *text, size_t size)
{
    struct format_cursor c = {text, text + size};
    return take_date(&c) && take_letter(&c, 't') && take_time(&c) && at_end(&c);
}

/* Numbers with units, in the order of `units`: at least one, none twice and, by RFC 3339, none left out
 * between two. */
static bool take_units(struct format_cursor *c, const char *units)
{
    size_t last = SIZE_MAX;
    while (c->at < c->end && *c->at != 'T') {
        const char *unit;
        if (!take_number(c) || at_end(c) || !*c->at || !(unit = strchr(units, *c->at)))
            return false;
        size_t index = (size_t)(unit - units);
        if (last != SIZE_MAX && index != last + 1)
            return false;
        last = index;
        c->at++;
    }
    return last != SIZE_MAX;
}

/* RFC 3339 appendix A: P1Y2M3DT4H5M6S or P1W. */
static bool format_duration(const char *text, size_t size)
{
    struct format_cursor c = {text, text + size};
    if (!take_char(&c, 'P') || at_end(&c))
        return false;
    struct format_cursor weeks = c;
    if (take_number(&weeks) && take_char(&weeks, 'W'))
        return at_end(&weeks);
    if (*c.at != 'T' && !take_units(&c, "YMD"))
        return false;
    return at_end(&c) || (take_char(&c, 'T') && take_units(&c, "HMS") && at_end(&c));
}

static bool format_ipv4(const char *text, size_t size)
{
    struct format_cursor c = {text, text + size};
    for (int i = 0; i < 4; i++) {
        if (i > 0 && !take_char(&c, '.'))
            return false;
        const char *start = c.at;
        if (!take_number(&c) || c.at - start > 3)
            return false;
        if ((*start == '0' && c.at - start > 1) || atoi(start) > 255)
            return false;
    }
    return at_end(&c);
}

static bool format_ipv6(const char *text, size_t size)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (size >= sizeof copy || memchr(text, '\0', size))
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool format_uuid(const char *text, size_t size)
{
    if (size != 36)
        return false;
    for (size_t i = 0; i < size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

/* A label of RFC 1123. `wide` allows characters beyond ASCII, whose IDNA rules are not checked. */
static bool label_fits(const char *label, size_t size, bool wide)
{
    if (size < 1 || size > 63 || label[0] == '-' || label[size - 1] == '-')
        return false;
    if (size >= 4 && label[2] == '-' && label[3] == '-' && strncasecmp(label, "xn", 2) != 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)label[i];
        if (c >= 0x80 ? !wide : !isalnum(c) && c != '-')
            return false;
    }
    return true;
}

static bool hostname_fits(const char *text, size_t size, bool wide)
{
    if (size < 1 || size > 253)
        return false;
    const char *end = text + size;
    for (const char *p = text;;) {
        const char *dot = memchr(p, '.', (size_t)(end - p));
        if (!label_fits(p, (size_t)((dot ? dot : end) - p), wide))
            return false;
        if (!dot)
            return true;
        p = dot + 1;
    }
}

static bool format_hostname(const char *text, size_t size)
{
    return hostname_fits(text, size, false);
}

static bool format_idn_hostname(const char *text, size_t size)
{
    return hostname_fits(text, size, true);
}

static bool local_part_fits(const char *text, size_t size, bool wide)
{
    if (size < 1 || size > 64)
        return false;
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"')
        return true;
    if (text[0] == '.' || text[size - 1] == '.')
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80 ? !wide : !isalnum(c) && (c == '\0' || !strchr(".!#$%&'*+/=?^_`{|}~-", c)))
            return false;
        if (c == '.' && text[i + 1] == '.')
            return false;
    }
    return true;
}

static bool email_fits(const char *text, size_t size, bool wide)
{
    const char *at = memrchr(text, '@', size);
    if (!at || !local_part_fits(text, (size_t)(at - text), wide))
        return false;
    const char *domain = at + 1;
    size_t rest = size - (size_t)(domain - text);
    if (rest >= 2 && domain[0] == '[' && domain[rest - 1] == ']') {
        if (rest > 7 && strncasecmp(domain + 1, "IPv6:", 5) == 0)
            return format_ipv6(domain + 6, rest - 7);
        return format_ipv4(domain + 1, rest - 2);
    }
    return hostname_fits(domain, rest, wide);
}

static bool format_email(const char *text, size_t size)
{
    return email_fits(text, size, false);
}

static bool format_idn_email(const char *text, size_t size)
{
    return email_fits(text, size, true);
}

/* True if [p, end) holds only characters that RFC 3986 (or, if `wide`, RFC 3987) allows, and well-formed
 * percent-encoding. `also` lists further allowed characters. */
static bool uri_characters_fit(const char *p, const char *end, const char *also, bool wide)
{
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '%') {
            if (end - p < 3 || !isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]))
                return false;
            p += 2;
        } else if (c >= 0x80
                       ? !wide
                       : !isalnum(c) && (c == '\0' || (!strchr("-._~!$&'()*+,;=", c) && !strchr(also, c)))) {
            return false;
        }
    }
    return true;
}

static bool authority_fits(const char *p, const char *end, bool wide)
{
    const char *user_end = memrchr(p, '@', (size_t)(end - p));
    if (user_end && !uri_characters_fit(p, user_end, ":", wide))
        return false;
    const char *host = user_end ? user_end + 1 : p;
    const char *port;
    if (host < end && *host == '[') {
        const char *close = memchr(host, ']', (size_t)(end - host));
        if (!close || (host[1] != 'v' && !format_ipv6(host + 1, (size_t)(close - host) - 1)))
            return false;
        port = close + 1;
        if (port < end && *port != ':')
            return false;
    } else {
        port = memchr(host, ':', (size_t)(end - host));
        port = port ? port : end;
        if (!uri_characters_fit(host, port, "", wide))
            return false;
    }
    for (port += port < end; port < end; port++) {
        if (*port < '0' || *port > '9')
            return false;
    }
    return true;
}

static const char *find_any(const char *p, const char *end, const char *set)
{
    while (p < end && (*p == '\0' || !strchr(set, *p)))
        p++;
    return p;
}

static bool reference_fits(const char *text, size_t size, bool wide, bool absolute)
{
    const char *p = text;
    const char *end = text + size;
    const char *colon = find_any(p, end, ":/?#");
    bool has_scheme = colon < end && *colon == ':';
    if (has_scheme) {
        for (const char *s = p; s < colon; s++) {
            if (!isalpha((unsigned char)*s) &&
                (s == p || (!isdigit((unsigned char)*s) && !(*s && strchr("+-.", *s)))))
                return false;
        }
        if (colon == p)
            return false;
        p = colon + 1;
    } else if (absolute) {
        return false;
    }
    if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
        const char *stop = find_any(p + 2, end, "/?#");
        if (!authority_fits(p + 2, stop, wide))
            return false;
        p = stop;
    }
    const char *query = find_any(p, end, "?#");
    const char *fragment = find_any(query, end, "#");
    return uri_characters_fit(p, query, ":@/", wide) &&
           uri_characters_fit(query + (query < fragment), fragment, ":@/?", wide) &&
           uri_characters_fit(fragment + (fragment < end), end, ":@/?", wide);
}

static bool format_uri(const char *text, size_t size)
{
    return reference_fits(text, size, false, true);
}

static bool format_uri_reference(const char *text, size_t size)
{
    return reference_fits(text, size, false, false);
}

static bool format_iri(const char *text, size_t size)
{
    return reference_fits(text, size, true, true);
}

static bool format_iri_reference(const char *text, size_t size)
{
    return reference_fits(text, size, true, false);
}

/* An expression of RFC 6570, after its opening brace: an operator, then names with modifiers, then the
 * closing brace. */
static bool take_expression(struct format_cursor *c)
{
    if (c->at < c->end && *c->at && strchr("+#./;?&=,!@|", *c->at))
        c->at++;
    do {
        const char *start = c->at;
        while (c->at < c->end &&
               (isalnum((unsigned char)*c->at) || *c->at == '_' || *c->at == '.' || *c->at == '%'))
            c->at++;
        if (c->at == start)
            return false;
        if (take_char(c, ':') && !take_number(c))
            return false;
        take_char(c, '*');
    } while (take_char(c, ','));
    return take_char(c, '}');
}

static bool format_uri_template(const char *text, size_t size)
{
    struct format_cursor c = {text, text + size};
    while (!at_end(&c)) {
        unsigned char ch = (unsigned char)*c.at++;
        if (ch == '{' && !take_expression(&c))
            return false;
        if (ch <= ' ' || (ch != '{' && strchr("\"'<>\\^`|}", ch)))
            return false;
    }
    return true;
}

static bool format_json_pointer(const char *text, size_t size)
{
    if (size > 0 && text[0] != '/')
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '~' && (i + 1 >= size || (text[i + 1] != '0' && text[i + 1] != '1')))
            return false;
    }
    return true;
}

static bool format_relative_json_pointer(const char *text, size_t size)
{
    struct format_cursor c = {text, text + size};
    if (!take_number(&c) || (text[0] == '0' && c.at - text > 1))
        return false;
    if (take_char(&c, '#'))
        return at_end(&c);
    return format_json_pointer(c.at, (size_t)(c.end - c.at));
}

static bool format_regex(const char *text, size_t size)
{
    void *ctx = talloc_new(NULL);
    struct regex *regex;
    const char *why;
    bool fits = regex_compile(ctx, text, size, &regex, &why) == OK;
    talloc_free(ctx);
    return fits;
}

format_check *format_find(const char *name)
{
    static const struct {
        const char *name;
        format_check *check;
    } formats[] = {
        {"date-time", format_date_time},
        {"date", format_date},
        {"time", format_time},
        {"duration", format_duration},
        {"email", format_email},
        {"idn-email", format_idn_email},
        {"hostname", format_hostname},
        {"idn-hostname", format_idn_hostname},
        {"ipv4", format_ipv4},
        {"ipv6", format_ipv6},
        {"uri", format_uri},
        {"uri-reference", format_uri_reference},
        {"iri", format_iri},
        {"iri-reference", format_iri_reference},
        {"uuid", format_uuid},
        {"uri-template", format_uri_template},
        {"json-pointer", format_json_pointer},
        {"relative-json-pointer", format_relative_json_pointer},
        {"regex", format_regex},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].check;
    }
    return NULL;
}
