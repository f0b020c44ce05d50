#define _XOPEN_SOURCE 700 /* wcwidth */
#include "command/table.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <talloc.h>
#include <unistd.h>
#include <wchar.h>

#include "base/ids.h"

enum {
    GAP = 2,
    /* texts are not shortened below this width, and not below the width of their heading */
    TEXT_WIDTH_MIN = 12,
    COLUMNS_MAX = 10000,
};

/* --- characters --- */

/* Decodes one UTF-8 character. Returns its size in bytes; 0: these bytes are not UTF-8. */
static size_t decode_character(const char *text, size_t size, uint32_t *code_r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*text;
    size_t n = c < 0x80                ? 1
               : c >= 0xF0 && c < 0xF5 ? 4
               : c >= 0xE0 && c < 0xF0 ? 3
               : c >= 0xC2 && c < 0xE0 ? 2
                                       : 0;
    if (n == 0 || n > size)
        return 0;
    uint32_t code = n == 1 ? c : c & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | ((unsigned char)text[i] & 0x3F);
    }
    *code_r = code;
    return code < least[n] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) ? 0 : n;
}

/* True if a terminal does not simply show this character at its place. */
static bool changes_terminal(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
           code == 0x061C || (code >= 0x200E && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

static char *append_escaped(char *out, const char *text, size_t n, uint32_t code)
{
    if (n == 1 && (code == '\n' || code == '\t' || code == '\r'))
        return talloc_asprintf_append_buffer(out, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
    if (n > 1 && code > 0xFF)
        return talloc_asprintf_append_buffer(out, "\\u%04x", code);
    return talloc_asprintf_append_buffer(out, "\\x%02x", n > 1 ? code : (unsigned char)*text);
}

const char *printable_text(void *ctx, const char *text, size_t size)
{
    char *out = NULL;
    size_t plain = 0; /* start of the characters that are not yet copied */
    for (size_t i = 0; i < size;) {
        uint32_t code = 0;
        size_t n = decode_character(text + i, size - i, &code);
        if (n > 0 && !changes_terminal(code)) {
            i += n;
            continue;
        }
        out = out ? talloc_strndup_append_buffer(out, text + plain, i - plain) : talloc_strndup(ctx, text, i);
        out = append_escaped(out, text + i, n > 0 ? n : 1, code);
        i += n > 0 ? n : 1;
        plain = i;
    }
    return out ? talloc_strndup_append_buffer(out, text + plain, size - plain) : text;
}

/* wcwidth depends on the locale of the thread; Millrace's texts are UTF-8 whatever $LANG is. */
static size_t character_width(uint32_t code)
{
    static locale_t utf8;
    if (code < 0x80)
        return 1;
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
    int width = wcwidth((wchar_t)code);
    if (before)
        uselocale(before);
    return width < 0 ? 1 : (size_t)width;
}

/* Returns how many bytes of a printable text fit into `max` columns. *width_r is their width. */
static size_t bytes_of_width(const char *text, size_t max, size_t *width_r)
{
    size_t size = strlen(text), i = 0;
    *width_r = 0;
    while (i < size) {
        uint32_t code = '?';
        size_t n = decode_character(text + i, size - i, &code), w = character_width(code);
        if (*width_r + w > max)
            break;
        *width_r += w;
        i += n > 0 ? n : 1;
    }
    return i;
}

static size_t text_width(const char *text)
{
    size_t width;
    bytes_of_width(text, SIZE_MAX, &width);
    return width;
}

size_t terminal_columns(void)
{
    const char *text = getenv("COLUMNS");
    long n = text ? strtol(text, NULL, 10) : 0;
    struct winsize size;
    if (n > 0 && n <= COLUMNS_MAX)
        return (size_t)n;
    if (!isatty(STDOUT_FILENO))
        return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* --- tables --- */

struct table_column {
    const char *name;
    size_t width;
    /* may be shortened */
    bool is_text;
};

static const char *cell_text(void *ctx, json_object *value)
{
    if (!value)
        return "-";
    if (json_object_is_type(value, json_type_string))
        return printable_text(ctx, json_object_get_string(value), (size_t)json_object_get_string_len(value));
    const char *text = json_text(value, NULL);
    return printable_text(ctx, text, strlen(text));
}

/* Ids, numbers and times are not shortened, because a part of them is useless. */
static bool may_be_shortened(json_object *value)
{
    id unused;
    if (!json_object_is_type(value, json_type_string) && !json_object_is_type(value, json_type_array) &&
        !json_object_is_type(value, json_type_object))
        return false;
    const char *text = json_object_get_string(value);
    return !id_parse(text, strlen(text), &unused) &&
           !(strlen(text) > 10 && text[4] == '-' && text[10] == 'T');
}

static struct table_column measure(void *ctx, json_object *list, const char *name)
{
    struct table_column c = {.name = name, .width = text_width(name), .is_text = true};
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *value = json_get(json_object_array_get_idx(list, i), name);
        size_t w = text_width(cell_text(ctx, value));
        c.width = w > c.width ? w : c.width;
        c.is_text = c.is_text && (!value || may_be_shortened(value));
    }
    return c;
}

static size_t line_width(const struct table_column *columns, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++)
        width += columns[i].width + (i > 0 ? GAP : 0);
    return width;
}

/* Shortens the widest text by one character. False if no text may be shortened. */
static bool shorten_widest(struct table_column *columns, size_t n)
{
    struct table_column *widest = NULL;
    for (size_t i = 0; i < n; i++) {
        struct table_column *c = &columns[i];
        if (c->is_text && c->width > TEXT_WIDTH_MIN && c->width > text_width(c->name) &&
            (!widest || c->width > widest->width))
            widest = c;
    }
    if (widest)
        widest->width--;
    return widest != NULL;
}

/* Makes the lines fit. Returns the number of members that are shown. */
static size_t fit(struct table_column *columns, size_t n, size_t max)
{
    while (max > 0 && line_width(columns, n) > max) {
        if (!shorten_widest(columns, n)) {
            if (n == 1)
                break;
            n--;
        }
    }
    return n;
}

static void print_cell(const char *text, size_t width, bool is_last)
{
    size_t shown, size = bytes_of_width(text, width, &shown);
    if (text[size]) { /* the last column that fits is the mark of shortening */
        size = bytes_of_width(text, width - 1, &shown);
        printf("%.*s…", (int)size, text);
        shown++;
    } else {
        fputs(text, stdout);
    }
    for (; !is_last && shown < width + GAP; shown++)
        putchar(' ');
}

static void print_row(void *ctx, json_object *row, const struct table_column *columns, size_t n)
{
    for (size_t c = 0; c < n; c++)
        print_cell(row ? cell_text(ctx, json_get(row, columns[c].name)) : columns[c].name, columns[c].width,
                   c + 1 == n);
    putchar('\n');
}

static void print_left_out(const struct table_column *columns, size_t n)
{
    fputs("(not shown:", stdout);
    for (size_t c = 0; c < n; c++)
        printf("%s %s", c > 0 ? "," : "", columns[c].name);
    fputs("; use --json or a wider terminal)\n", stdout);
}

void table_print(void *ctx, json_object *list, size_t max)
{
    json_object *first = json_object_array_get_idx(list, 0);
    if (!first) {
        puts("none");
        return;
    }
    void *scratch = talloc_new(ctx);
    size_t n = 0;
    struct table_column *columns =
        talloc_array(scratch, struct table_column, (size_t)json_object_object_length(first));
    json_object_object_foreach(first, name, unused)
    {
        (void)unused;
        columns[n++] = measure(scratch, list, name);
    }
    size_t shown = fit(columns, n, max);
    print_row(scratch, NULL, columns, shown);
    for (size_t i = 0; i < json_object_array_length(list); i++)
        print_row(scratch, json_object_array_get_idx(list, i), columns, shown);
    if (shown < n)
        print_left_out(columns + shown, n - shown);
    talloc_free(scratch);
}

/* The first element of an array; NULL for anything else. */
static json_object *first_element(json_object *value)
{
    return json_object_is_type(value, json_type_array) ? json_object_array_get_idx(value, 0) : NULL;
}

void table_print_object(void *ctx, json_object *object, size_t max)
{
    size_t width = 0;
    json_object_object_foreach(object, key, value)
    {
        (void)value;
        width = text_width(key) > width ? text_width(key) : width;
    }
    json_object_object_foreach(object, name, member)
    {
        if (json_object_is_type(first_element(member), json_type_object)) {
            printf("\n%s:\n", name);
            table_print(ctx, member, max);
        } else if (json_object_is_type(member, json_type_array) && json_object_array_length(member) == 0) {
            printf("%-*s  none\n", (int)width, name);
        } else {
            printf("%-*s  %s\n", (int)width, name, cell_text(ctx, member));
        }
    }
}
