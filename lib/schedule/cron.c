#include "schedule/cron.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

enum { FIELDS = 5, MINUTES_PER_DAY = 24 * 60, NAME_LENGTH = 3, SUNDAY_AGAIN = 7, LEAP_FEBRUARY = 29 };

enum field_kind { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const struct cron_field {
    const char *name;
    int min, max;
    /* names of the values, beginning with `min` */
    const char *names;
} fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, ""},
    [HOUR] = {"hour", 0, 23, ""},
    [DAY] = {"day of month", 1, 31, ""},
    [MONTH] = {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    [WEEKDAY] = {"day of week", 0, 7, "sunmontuewedthufrisat"},
};

/* What one field says. */
struct field_set {
    uint64_t values;
    uint64_t last;
    bool last_day;
    bool star, step;
};

/* Reads a number of at most three digits or a name, and moves *at behind it. Returns -1 if there is none. */
static int read_value(const struct cron_field *field, const char **at)
{
    enum { DIGITS_MAX = 3, DECIMAL = 10 };
    int value = 0, digits = 0;
    while (isdigit((unsigned char)**at) && digits < DIGITS_MAX) {
        value = value * DECIMAL + (*(*at)++ - '0');
        digits++;
    }
    if (digits > 0)
        return value;
    for (int n = 0; field->names[(size_t)n * NAME_LENGTH]; n++) {
        if (strncasecmp(*at, field->names + (size_t)n * NAME_LENGTH, NAME_LENGTH) == 0) {
            *at += NAME_LENGTH;
            return field->min + n;
        }
    }
    return -1;
}

static bool in_field(const struct cron_field *field, int value)
{
    return value >= 0 && value >= field->min && value <= field->max;
}

/* Reads "/n" into *step, which is 1 without it. The largest step is the number of values of the field. */
static bool read_step(const struct cron_field *field, const char **at, int *step, struct field_set *set)
{
    *step = 1;
    if (**at != '/')
        return true;
    (*at)++;
    set->step = true;
    bool is_number = isdigit((unsigned char)**at);
    *step = read_value(field, at);
    return is_number && *step >= 1 && *step <= field->max - field->min + 1;
}

/* Reads "*", a value or a range of values, without the step. */
static bool read_range(enum field_kind kind, const char **at, int *first, int *last)
{
    const struct cron_field *field = &fields[kind];
    if (**at == '*') {
        (*at)++;
        *first = field->min;
        *last = kind == WEEKDAY ? SUNDAY_AGAIN - 1 : field->max;
        return true;
    }
    *first = *last = read_value(field, at);
    if (**at == '-') {
        (*at)++;
        *last = read_value(field, at);
        /* a range may end with Sunday: "fri-sun" */
        if (kind == WEEKDAY && *last == 0 && *first > 0)
            *last = SUNDAY_AGAIN;
    } else if (**at == '/') {
        *last = kind == WEEKDAY ? SUNDAY_AGAIN - 1 : field->max;
    }
    return in_field(field, *first) && in_field(field, *last) && *first <= *last;
}

static bool ends(const char *at)
{
    return *at == ',' || *at == '\0';
}

static bool is_last(const char *at)
{
    return (*at == 'L' || *at == 'l') && ends(at + 1);
}

/* One item of a list: "L", "5L", "*", "7", "mon-fri", "10-50/20". */
static bool read_item(enum field_kind kind, const char **at, struct field_set *set)
{
    if (kind == DAY && is_last(*at)) {
        (*at)++;
        set->last_day = true;
        return true;
    }
    int first, last, step;
    set->star = set->star || **at == '*';
    bool single = **at != '*';
    const char *start = *at;
    if (!read_range(kind, at, &first, &last))
        return false;
    single = single && !memchr(start, '-', (size_t)(*at - start));
    if (kind == WEEKDAY && single && is_last(*at)) {
        (*at)++;
        set->last |= 1ULL << first % SUNDAY_AGAIN;
        return true;
    }
    if (!read_step(&fields[kind], at, &step, set))
        return false;
    for (int value = first; value <= last; value += step)
        set->values |= 1ULL << (kind == WEEKDAY ? value % SUNDAY_AGAIN : value);
    return ends(*at);
}

static bool read_field(enum field_kind kind, const char *text, struct field_set *set)
{
    *set = (struct field_set){0};
    for (const char *at = text;; at++) {
        if (!read_item(kind, &at, set))
            return false;
        if (*at == '\0')
            return true;
    }
}

static const char *const hints[FIELDS] = {
    [MINUTE] = "0 to 59",
    [HOUR] = "0 to 23",
    [DAY] = "1 to 31, or L for the last day of the month",
    [MONTH] = "1 to 12, or JAN to DEC",
    [WEEKDAY] = "0 to 7 (0 and 7 are Sunday), SUN to SAT, or 5L for the last Friday of the month",
};

/* The days that a month never exceeds: 29 for February. */
static int longest(int month)
{
    static const int days[] = {31, LEAP_FEBRUARY, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1];
}

static bool matches_some_day(const struct cron *cron)
{
    if (cron->any_day || cron->last_day || !cron->any_weekday)
        return true;
    for (int month = fields[MONTH].min; month <= fields[MONTH].max; month++) {
        uint32_t days_of_month = (2U << longest(month)) - 1;
        if (cron->months >> month & 1 && cron->days & days_of_month)
            return true;
    }
    return false;
}

const char *cron_parse(void *ctx, const char *text, struct cron *cron_r)
{
    struct field_set sets[FIELDS];
    const char *words[FIELDS + 1];
    int n = 0;
    if (strlen(text) > CRON_TEXT_MAX)
        return talloc_asprintf(ctx, "The expression is longer than %d characters.", CRON_TEXT_MAX);
    char *copy = talloc_strdup(ctx, text), *rest = NULL;
    for (char *word = strtok_r(copy, " \t", &rest); word && n <= FIELDS; word = strtok_r(NULL, " \t", &rest))
        words[n++] = word;
    if (n != FIELDS)
        return "The expression must have five fields: minute, hour, day of month, month, day of week.";
    for (int kind = 0; kind < FIELDS; kind++) {
        if (!read_field(kind, words[kind], &sets[kind]))
            return talloc_asprintf(ctx,
                                   "The field %s is wrong: \"%s\". Allowed are *, values (%s), ranges (a-b), "
                                   "steps (*/n, a-b/n) and lists of these.",
                                   fields[kind].name, words[kind], hints[kind]);
    }
    *cron_r = (struct cron){
        .minutes = sets[MINUTE].values,
        .hours = (uint32_t)sets[HOUR].values,
        .days = (uint32_t)sets[DAY].values,
        .months = (uint16_t)sets[MONTH].values,
        .weekdays = (uint8_t)sets[WEEKDAY].values,
        .last_weekdays = (uint8_t)sets[WEEKDAY].last,
        .last_day = sets[DAY].last_day,
        .any_day = strcmp(words[DAY], "*") == 0,
        .any_weekday = strcmp(words[WEEKDAY], "*") == 0,
        .names_hours = !sets[HOUR].star && !sets[HOUR].step,
    };
    return matches_some_day(cron_r) ? NULL : "The expression names a day that none of its months has.";
}

/* A day of the proleptic Gregorian calendar. */
struct civil_day {
    int year, month, day;
    /* 0: Sunday */
    int weekday;
};

/* Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days. Years begin in March there,
 * so that the leap day is a year's last; an era has 400 years, or 146,097 days. */
static struct civil_day civil_from_days(int64_t days)
{
    enum { DAYS_TO_1970 = 719468, ERA = 146097, WEEKDAY_OF_1970 = 4, WEEK = 7 };
    int64_t shifted = days + DAYS_TO_1970, era = shifted / ERA, of_era = shifted % ERA;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    return (struct civil_day){
        .year = (int)(year + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(of_year - (153 * month + 2) / 5 + 1),
        .weekday = (int)((days + WEEKDAY_OF_1970) % WEEK),
    };
}

static int days_in_month(int year, int month)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && !leap ? LEAP_FEBRUARY - 1 : longest(month);
}

static bool day_matches(const struct cron *cron, const struct civil_day *day)
{
    enum { WEEK = 7 };
    if (!(cron->months >> day->month & 1))
        return false;
    int in_month = days_in_month(day->year, day->month);
    bool of_month = cron->days >> day->day & 1 || (cron->last_day && day->day == in_month);
    bool of_week = cron->weekdays >> day->weekday & 1 ||
                   (cron->last_weekdays >> day->weekday & 1 && day->day > in_month - WEEK);
    if (cron->any_day || cron->any_weekday)
        return (cron->any_day || of_month) && (cron->any_weekday || of_week);
    return of_month || of_week;
}

/* The first matching minute of a day that is not before `minute` (0 to 1439); -1: none. */
static int next_in_day(const struct cron *cron, int minute)
{
    enum { MINUTES_PER_HOUR = 60, HOURS = 24 };
    int from = minute % MINUTES_PER_HOUR;
    for (int hour = minute / MINUTES_PER_HOUR; hour < HOURS; hour++, from = 0) {
        uint64_t left = cron->minutes >> from << from;
        if (cron->hours >> hour & 1 && left)
            return hour * MINUTES_PER_HOUR + __builtin_ctzll(left);
    }
    return -1;
}

int64_t cron_next_minute(const struct cron *cron, int64_t minute)
{
    enum { DAYS_MAX = 40 * 366 };
    int64_t day = minute / MINUTES_PER_DAY;
    int from = (int)(minute % MINUTES_PER_DAY);
    for (int64_t last = day + DAYS_MAX; day <= last; day++, from = 0) {
        struct civil_day civil = civil_from_days(day);
        int found = day_matches(cron, &civil) ? next_in_day(cron, from) : -1;
        if (found >= 0)
            return day * MINUTES_PER_DAY + found;
    }
    return CRON_NEVER;
}
