#include "schema/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

enum {
    PATTERN_MAX = 8 * 1024,
    /* a{n} with a larger n makes n steps that PCRE2 does not count */
    REPEAT_CHEAP_MAX = 32,
    HEAP_LIMIT_KIB = 8 * 1024,
    /* units of a budget (measured): the set-up of a match, and one of its steps */
    MATCH_UNITS = 40,
    STEP_UNITS = 4,
    /* steps of the first attempt, and of any */
    FIRST_STEPS = 32,
    STEPS_MAX = 100000000,
};

struct regex {
    pcre2_code *code;
    /* has lookaround, a backreference or a long repeat: one counted step may scan the whole subject */
    bool costly;
};

/* The translation of an ECMA pattern to a PCRE2 pattern. */
struct translation {
    const char *at;
    const char *end;
    char *out;
    bool in_class;
    bool costly;
    const char *why;
};

static void emit(struct translation *t, const char *text, size_t size)
{
    t->out = talloc_strndup_append_buffer(t->out, text, size);
}

static void emit_text(struct translation *t, const char *text)
{
    emit(t, text, strlen(text));
}

static bool refuse_pattern(struct translation *t, const char *why)
{
    t->why = why;
    return false;
}

/* The value of the `count` hexadecimal digits at `p`, or -1. */
static long hex_digits(const char *p, const char *end, int count)
{
    long value = 0;
    if (end - p < count)
        return -1;
    for (int i = 0; i < count; i++) {
        if (!isxdigit((unsigned char)p[i]))
            return -1;
        value = value * 16 +
                (isdigit((unsigned char)p[i]) ? p[i] - '0' : tolower((unsigned char)p[i]) - 'a' + 10);
    }
    return value;
}

static void emit_code_point(struct translation *t, long code)
{
    char text[24];
    snprintf(text, sizeof text, "\\x{%lx}", (unsigned long)code);
    emit_text(t, text);
}

/* What follows "\u": HHHH, a surrogate pair, or {H...}. */
static bool translate_unicode(struct translation *t)
{
    if (t->at < t->end && *t->at == '{') {
        const char *close = memchr(t->at, '}', (size_t)(t->end - t->at));
        int digits = close ? (int)(close - t->at) - 1 : 0;
        long code = digits >= 1 && digits <= 6 ? hex_digits(t->at + 1, t->end, digits) : -1;
        if (code < 0 || code > 0x10ffff)
            return refuse_pattern(t, "\\u{...} needs a hexadecimal code point");
        t->at = close + 1;
        emit_code_point(t, code);
        return true;
    }
    long code = hex_digits(t->at, t->end, 4);
    if (code < 0)
        return refuse_pattern(t, "\\u needs four hexadecimal digits");
    t->at += 4;
    if (code >= 0xd800 && code < 0xdc00 && t->end - t->at >= 6 && t->at[0] == '\\' && t->at[1] == 'u') {
        long low = hex_digits(t->at + 2, t->end, 4);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            t->at += 6;
        }
    }
    emit_code_point(t, code);
    return true;
}

/* General categories: PCRE2 knows only their short names, ECMA also the long ones. */
static const char *const categories[][2] = {
    {"Letter", "L"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

/* What follows "\p" or "\P": a property in braces. */
static bool translate_property(struct translation *t, char letter)
{
    const char *close = t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    if (!close)
        return refuse_pattern(t, "\\p needs a property name in braces");
    const char *name = t->at + 1;
    int size = (int)(close - name);
    const char *equals = memchr(name, '=', (size_t)size);
    if (equals && (strncmp(name, "General_Category=", 17) == 0 || strncmp(name, "gc=", 3) == 0)) {
        name = equals + 1;
        size = (int)(close - name);
    }
    t->at = close + 1;
    char *out = talloc_asprintf(t->out, "\\%c{%.*s}", letter, size, name);
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++) {
        if (strlen(categories[i][0]) == (size_t)size && strncmp(categories[i][0], name, (size_t)size) == 0)
            out = talloc_asprintf(t->out, "\\%c{%s}", letter, categories[i][1]);
    }
    emit_text(t, out);
    return true;
}

/* White space as ECMA-262 defines it; PCRE's \s differs, with and without UCP. */
#define ECMA_SPACE "\\t\\n\\x0b\\f\\r\\p{Z}\\x{feff}"

static void translate_space(struct translation *t, char c)
{
    if (c == 's')
        emit_text(t, t->in_class ? ECMA_SPACE : "[" ECMA_SPACE "]");
    else
        emit_text(t, t->in_class ? "\\S" : "[^" ECMA_SPACE "]");
}

static bool translate_escape(struct translation *t)
{
    if (t->at >= t->end)
        return refuse_pattern(t, "the pattern ends with a \\");
    char c = *t->at++;
    char text[3] = {'\\', c, '\0'};
    switch (c) {
    case 's':
    case 'S':
        translate_space(t, c);
        return true;
    case 'u':
        return translate_unicode(t);
    case 'p':
    case 'P':
        return translate_property(t, c);
    case 'v':
        emit_text(t, "\\x0b");
        return true;
    case '0':
        emit_text(t, "\\x00");
        return true;
    case 'x':
        if (hex_digits(t->at, t->end, 2) < 0)
            return refuse_pattern(t, "\\x needs two hexadecimal digits");
        break;
    case 'c':
        if (t->at >= t->end || !isalpha((unsigned char)*t->at))
            return refuse_pattern(t, "\\c needs a letter");
        break;
    case 'k':
        t->costly = true;
        break;
    default:
        if (isdigit((unsigned char)c))
            t->costly = true;
        else if (isalpha((unsigned char)c) && !strchr("dDwWbBfnrt", c))
            return refuse_pattern(t, "unknown escape (ECMA-262 has no such letter after \\)");
        else if ((unsigned char)c >= 0x80)
            text[0] = c, text[1] = '\0'; /* first byte of a character that needs no escape */
        break;
    }
    emit_text(t, text);
    return true;
}

static bool translate_group(struct translation *t)
{
    emit_text(t, "(");
    if (t->at < t->end && *t->at == '*')
        return refuse_pattern(t, "nothing to repeat after (");
    if (t->at >= t->end || *t->at != '?')
        return true;
    const char *p = t->at + 1;
    bool behind = t->end - p >= 2 && p[0] == '<' && (p[1] == '=' || p[1] == '!');
    bool ahead = p < t->end && (*p == '=' || *p == '!');
    bool named = !behind && t->end - p >= 2 && p[0] == '<' && (isalpha((unsigned char)p[1]) || p[1] == '_');
    if (!behind && !ahead && !named && !(p < t->end && *p == ':'))
        return refuse_pattern(t, "unknown kind of group after (?");
    t->costly = t->costly || behind || ahead;
    t->at = p + (behind ? 2 : 1);
    emit(t, p - 1, behind ? 3 : 2);
    return true;
}

/* The size of the {n}, {n,} or {n,m} at t->at - 1, or 0 if the brace is a literal. */
static size_t counted_size(struct translation *t)
{
    const char *start = t->at - 1;
    const char *p = t->at;
    while (p < t->end && isdigit((unsigned char)*p))
        p++;
    if (p == t->at)
        return 0;
    if (p < t->end && *p == ',') {
        p++;
        while (p < t->end && isdigit((unsigned char)*p))
            p++;
    }
    return p < t->end && *p == '}' ? (size_t)(p - start) + 1 : 0;
}

static bool translate_quantifier(struct translation *t, char c)
{
    size_t size = 1;
    if (c == '{') {
        size = counted_size(t);
        if (size == 0) {
            emit_text(t, "\\{");
            return true;
        }
        t->costly = t->costly || atoi(t->at) > REPEAT_CHEAP_MAX;
    }
    emit(t, t->at - 1, size);
    t->at += size - 1;
    if (t->at < t->end && *t->at == '?')
        emit(t, t->at++, 1);
    if (t->at < t->end && strchr("*+?", *t->at))
        return refuse_pattern(t, "nothing to repeat: two quantifiers in a row");
    return true;
}

static bool translate_one(struct translation *t)
{
    char c = *t->at++;
    if (c == '\\')
        return translate_escape(t);
    if (t->in_class) {
        if (c == ']')
            t->in_class = false;
        if (c == '[')
            emit_text(t, "\\");
        emit(t, &c, 1);
        return true;
    }
    switch (c) {
    case '[':
        t->in_class = true;
        emit(t, &c, 1);
        if (t->at < t->end && *t->at == '^')
            emit(t, t->at++, 1);
        return true;
    case '(':
        return translate_group(t);
    case '.':
        emit_text(t, "[^\\n\\r\\x{2028}\\x{2029}]");
        return true;
    case '*':
    case '+':
    case '?':
    case '{':
        return translate_quantifier(t, c);
    default:
        emit(t, &c, 1);
        return true;
    }
}

static int regex_destroy(struct regex *regex)
{
    pcre2_code_free(regex->code);
    return 0;
}

/* NO_AUTO_POSSESS, because PCRE2 does not count the steps of a loop that it made possessive. */
static pcre2_code *compile_translated(void *ctx, const char *pattern, uint32_t more, const char **why_r)
{
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                       PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP |
                       PCRE2_NO_AUTO_POSSESS | more;
    int number;
    PCRE2_SIZE offset;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &number, &offset, NULL);
    if (!code) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(number, text, sizeof text);
        *why_r = talloc_strdup(ctx, (const char *)text);
    }
    return code;
}

/* PCRE2 restarts its step count at each start position, so its limit does not bound the work on a long
 * subject. An unanchored pattern is therefore prefixed with a lazy .*? and anchored: there is one start
 * position, and the limit bounds the whole match. */
static pcre2_code *compile_one_start(void *ctx, const char *pattern, const char **why_r)
{
    uint32_t found = 0;
    pcre2_code *code = compile_translated(ctx, pattern, 0, why_r);
    if (!code || (pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &found) == 0 && (found & PCRE2_ANCHORED)))
        return code;
    pcre2_code_free(code);
    char *searching = talloc_asprintf(ctx, "(?s:.*?)(?:%s)", pattern);
    code = compile_translated(ctx, searching, PCRE2_ANCHORED, why_r);
    talloc_free(searching);
    return code;
}

enum err regex_compile(void *ctx, const char *pattern, size_t size, struct regex **regex_r,
                       const char **why_r)
{
    struct translation t = {.at = pattern, .end = pattern + size, .out = talloc_strdup(ctx, "")};
    if (size > PATTERN_MAX)
        t.why = "the pattern is too long";
    if (memchr(pattern, '\0', size))
        t.why = "the pattern contains a NUL (write \\u0000)";
    while (!t.why && t.at < t.end) {
        if (!translate_one(&t))
            break;
    }
    pcre2_code *code = t.why ? NULL : compile_one_start(ctx, t.out, &t.why);
    talloc_free(t.out);
    if (!code) {
        *why_r = t.why;
        return ERR_INVALID;
    }
    struct regex *regex = talloc(ctx, struct regex);
    *regex = (struct regex){code, t.costly};
    talloc_set_destructor(regex, regex_destroy);
    *regex_r = regex;
    return OK;
}

static int match_limited(const struct regex *regex, const char *subject, size_t size, uint32_t limit)
{
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int answer = PCRE2_ERROR_NOMEMORY;
    if (context && data) {
        pcre2_set_match_limit(context, limit);
        pcre2_set_depth_limit(context, limit);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        answer = pcre2_match(regex->code, (PCRE2_SPTR)subject, size, 0, 0, data, context);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return answer;
}

/* The units of a match of at most `limit` steps. One step of a costly pattern may scan the whole subject. */
static size_t match_units(const struct regex *regex, size_t size, size_t limit)
{
    size_t step = regex->costly ? STEP_UNITS + size / BUDGET_SCANNED_BYTES_PER_UNIT : STEP_UNITS;
    return MATCH_UNITS + 2 * size / BUDGET_SCANNED_BYTES_PER_UNIT + limit * step;
}

/* The largest number of steps, up to `wanted`, that the rest of the budget allows. */
static size_t affordable_steps(const struct regex *regex, size_t size, size_t wanted,
                               const struct budget *budget)
{
    size_t left = budget->limit - budget->used;
    size_t fixed = match_units(regex, size, 0);
    size_t step = match_units(regex, size, 1) - fixed;
    size_t most = left > fixed ? (left - fixed) / step : 0;
    return most < wanted ? most : wanted;
}

/* PCRE2 does not tell how many steps a match took. Nearly all matches end within the first, small limit. A
 * match that does not is repeated with a larger limit, and each time the limit is charged before: the last
 * attempt costs more than all before it. If one step may scan the whole subject, it is charged for that. */
enum err regex_match(const struct regex *regex, const char *subject, size_t size, struct budget *budget,
                     bool *matches_r)
{
    int answer = PCRE2_ERROR_MATCHLIMIT;
    size_t limit = 0;
    size_t wanted = FIRST_STEPS;
    while (answer == PCRE2_ERROR_MATCHLIMIT || answer == PCRE2_ERROR_DEPTHLIMIT) {
        size_t most = affordable_steps(regex, size, wanted, budget);
        if (most <= limit) {
            budget->exceeded = true;
            return ERR_LIMIT;
        }
        limit = most;
        (void)budget_charge(budget, match_units(regex, size, limit));
        answer = match_limited(regex, subject, size, (uint32_t)limit);
        wanted = limit * 8 < STEPS_MAX ? limit * 8 : STEPS_MAX;
        if (wanted < 2 * size)
            wanted = 2 * size < STEPS_MAX ? 2 * size : STEPS_MAX;
    }
    *matches_r = answer >= 0;
    /* invalid UTF-8 counts as "no match"; any other error means that a limit was reached */
    bool decided = answer >= 0 || answer == PCRE2_ERROR_NOMATCH ||
                   (answer <= PCRE2_ERROR_UTF8_ERR1 && answer >= PCRE2_ERROR_UTF8_ERR21);
    budget->exceeded = budget->exceeded || !decided;
    return decided ? OK : ERR_LIMIT;
}
