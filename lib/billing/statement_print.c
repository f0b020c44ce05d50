#include "billing/statement_print.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "base/csv.h"
#include "base/html.h"

/* --- JSON --- */

static void add_text(json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? json_object_new_string(text) : NULL);
}

static void add_id(json_object *o, const char *name, const id *i)
{
    add_text(o, name, id_is_set(i) ? i->text : NULL);
}

static void add_credits(json_object *o, const char *name, int64_t micro)
{
    json_object_object_add(o, name, credits_json(micro));
}

json_object *billing_line_json(const struct billing_line *line, unsigned by)
{
    char day[CALENDAR_DAY_SIZE];
    json_object *o = json_object_new_object();
    if (by & BILLING_BY_DAY)
        add_text(o, "day", calendar_day_text(line->day, day));
    if (by & BILLING_BY_RESPONDER) {
        add_id(o, "responder_id", &line->responder_id);
        add_text(o, "responder", line->responder);
    }
    if (by & BILLING_BY_KEY) {
        add_id(o, "key_id", &line->key_id);
        add_text(o, "key_prefix", line->key_prefix);
    }
    json_object_object_add(o, "runs", json_object_new_int64(billing_runs(&line->sums)));
    add_credits(o, "debited", billing_debited(&line->sums));
    add_credits(o, "refunded", billing_refunded(&line->sums));
    add_credits(o, "used", billing_used(&line->sums));
    return o;
}

static json_object *grant_json(const struct billing_grant *g)
{
    json_object *o = json_object_new_object();
    add_id(o, "grant_id", &g->grant_id);
    add_text(o, "category", g->category);
    add_text(o, "reference", g->reference);
    add_text(o, "note", g->note);
    for (int k = 0; k < BILLING_KINDS; k++) {
        const struct billing_kind *kind = billing_kind(k);
        if (kind->member && !kind->is_usage)
            add_credits(o, kind->member, kind->sign * g->sums.amount[k]);
    }
    return o;
}

/* What kinds without a name of their own add to the balance. */
static int64_t other(const struct statement *s)
{
    int64_t sum = 0;
    for (int k = 0; k < BILLING_KINDS; k++)
        sum += billing_kind(k)->member ? 0 : s->sums.amount[k];
    return sum;
}

json_object *statement_json(const struct statement *s, unsigned by, bool details)
{
    char month[CALENDAR_MONTH_SIZE], from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
    json_object *o = json_object_new_object();
    add_id(o, "workspace_id", &s->workspace_id);
    add_text(o, "workspace", s->workspace);
    add_text(o, "month", calendar_month_text(s->month, month));
    add_text(o, "timezone", s->timezone);
    add_text(o, "from", clock_text_offset(s->period.start_ms, from));
    add_text(o, "to", clock_text_offset(s->period.end_ms, to));
    add_credits(o, "opening", s->opening);
    for (int k = 0; k < BILLING_KINDS; k++) {
        const struct billing_kind *kind = billing_kind(k);
        if (kind->member)
            add_credits(o, kind->member, kind->sign * s->sums.amount[k]);
    }
    if (other(s) != 0)
        add_credits(o, "other", other(s));
    add_credits(o, "closing", s->closing);
    json_object_object_add(o, "runs", json_object_new_int64(billing_runs(&s->sums)));
    if (!details)
        return o;
    json_object *lines = json_object_new_array(), *grants = json_object_new_array();
    for (size_t i = 0; i < s->lines_n; i++)
        json_object_array_add(lines, billing_line_json(&s->lines[i], by));
    for (size_t i = 0; i < s->grants_n; i++)
        json_object_array_add(grants, grant_json(&s->grants[i]));
    json_object_object_add(o, "lines", lines);
    json_object_object_add(o, "grant_lines", grants);
    return o;
}

/* --- CSV --- */

struct csv_row {
    const char *item;
    const struct billing_line *line;
    const struct billing_grant *grant;
    /* -1: it has none. */
    int64_t n;
    int64_t micro;
};

static char *csv_text(char *csv, const char *text)
{
    return csv_append_text(csv, text ? text : "", text ? strlen(text) : 0);
}

static char *append_csv_row(char *csv, const struct statement *s, const struct csv_row *r)
{
    char month[CALENDAR_MONTH_SIZE], credits[CREDITS_TEXT_SIZE];
    const char *texts[] = {
        r->line ? r->line->responder_id.text : NULL, r->line ? r->line->responder : NULL,
        r->line ? r->line->key_id.text : NULL,       r->line ? r->line->key_prefix : NULL,
        r->grant ? r->grant->grant_id.text : NULL,   r->grant ? r->grant->category : NULL,
        r->grant ? r->grant->reference : NULL,
    };
    csv = talloc_asprintf_append_buffer(csv, "%s,", s->workspace_id.text);
    csv = csv_text(csv, s->workspace);
    csv = talloc_asprintf_append_buffer(csv, ",%s,%s", calendar_month_text(s->month, month), r->item);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        csv = csv_text(talloc_strdup_append_buffer(csv, ","), texts[i]);
    csv = r->n < 0 ? talloc_strdup_append_buffer(csv, ",")
                   : talloc_asprintf_append_buffer(csv, ",%" PRId64, r->n);
    return talloc_asprintf_append_buffer(csv, ",%s\r\n", credits_text(r->micro, credits));
}

static char *append_csv_sums(char *csv, const struct statement *s, struct csv_row row,
                             const struct billing_sums *sums)
{
    for (int k = 0; k < BILLING_KINDS; k++) {
        row.item = billing_kind(k)->member;
        row.n = sums->n[k];
        row.micro = sums->amount[k];
        if (row.item && (row.n != 0 || row.micro != 0))
            csv = append_csv_row(csv, s, &row);
    }
    return csv;
}

char *statement_csv(void *ctx, const struct statement *s)
{
    char *csv =
        talloc_strdup(ctx, "workspace_id,workspace,month,item,responder_id,responder,key_id,key_prefix,"
                           "grant_id,category,reference,entries,credits\r\n");
    csv = append_csv_row(csv, s, &(struct csv_row){.item = "opening", .n = -1, .micro = s->opening});
    for (size_t i = 0; i < s->grants_n; i++)
        csv = append_csv_sums(csv, s, (struct csv_row){.grant = &s->grants[i]}, &s->grants[i].sums);
    for (size_t i = 0; i < s->lines_n; i++)
        csv = append_csv_sums(csv, s, (struct csv_row){.line = &s->lines[i]}, &s->lines[i].sums);
    if (other(s) != 0)
        csv = append_csv_row(csv, s, &(struct csv_row){.item = "other", .n = -1, .micro = other(s)});
    return append_csv_row(csv, s, &(struct csv_row){.item = "closing", .n = -1, .micro = s->closing});
}

/* --- HTML --- */

static const char style[] =
    "body{font:11pt/1.4 system-ui,sans-serif;color:#18181b;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.4rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}"
    "table{border-collapse:collapse;width:100%}thead{display:table-header-group}tr{break-inside:avoid}"
    "th,td{padding:.25rem .5rem;border-bottom:1px solid #d4d4d8;text-align:left;overflow-wrap:anywhere}"
    ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "tr.sum td{font-weight:600;border-top:2px solid #18181b}"
    "small{color:#52525b}@page{margin:18mm}@media print{body{margin:0;max-width:none}}";

struct page {
    void *ctx;
    struct text_buffer b;
};

static void put(struct page *p, const char *html)
{
    text_buffer_append(p->ctx, &p->b, html, strlen(html));
}

static void put_text(struct page *p, const char *open, const char *text, const char *close)
{
    put(p, open);
    html_append_text(p->ctx, &p->b, text ? text : "");
    put(p, close);
}

static void put_credits(struct page *p, int64_t micro)
{
    char text[CREDITS_TEXT_SIZE];
    put_text(p, "<td class=\"n\">", credits_text(micro, text), "</td>");
}

static void put_number(struct page *p, int64_t number)
{
    put_text(p, "<td class=\"n\">", talloc_asprintf(p->ctx, "%" PRId64, number), "</td>");
}

static void put_summary(struct page *p, const struct statement *s)
{
    char title[CALENDAR_MONTH_SIZE];
    put(p, "<table>\n<tbody>\n<tr><td>Opening balance</td>");
    put_credits(p, s->opening);
    put(p, "</tr>\n");
    for (int k = 0; k < BILLING_KINDS; k++) {
        if (!billing_kind(k)->member)
            continue;
        title[0] = (char)(billing_kind(k)->member[0] - 'a' + 'A');
        title[1] = '\0';
        put_text(p, "<tr><td>", title, "");
        put_text(p, "", billing_kind(k)->member + 1, "</td>");
        put_credits(p, s->sums.amount[k]);
        put(p, "</tr>\n");
    }
    if (other(s) != 0) {
        put(p, "<tr><td>Other</td>");
        put_credits(p, other(s));
        put(p, "</tr>\n");
    }
    put(p, "<tr class=\"sum\"><td>Closing balance</td>");
    put_credits(p, s->closing);
    put(p, "</tr>\n</tbody>\n</table>\n");
}

static void put_lines(struct page *p, const struct statement *s)
{
    put(p,
        "<h2>Usage</h2>\n<table>\n<thead><tr><th>Workflow or skill</th><th>Key</th><th class=\"n\">Runs</th>"
        "<th class=\"n\">Debited</th><th class=\"n\">Refunded</th><th "
        "class=\"n\">Used</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < s->lines_n; i++) {
        const struct billing_line *l = &s->lines[i];
        put_text(p, "<tr><td>", l->responder ? l->responder : l->responder_id.text, "</td>");
        put_text(p, "<td>", l->key_prefix ? l->key_prefix : l->key_id.text, "</td>");
        put_number(p, billing_runs(&l->sums));
        put_credits(p, billing_debited(&l->sums));
        put_credits(p, billing_refunded(&l->sums));
        put_credits(p, billing_used(&l->sums));
        put(p, "</tr>\n");
    }
    put(p, "<tr class=\"sum\"><td colspan=\"2\">Total</td>");
    put_number(p, billing_runs(&s->sums));
    put_credits(p, billing_debited(&s->sums));
    put_credits(p, billing_refunded(&s->sums));
    put_credits(p, billing_used(&s->sums));
    put(p, "</tr>\n</tbody>\n</table>\n");
}

static void put_grants(struct page *p, const struct statement *s)
{
    put(p, "<h2>Grants</h2>\n<table>\n<thead><tr><th>Reference</th><th>Category</th><th>Note</th>");
    for (int k = 0; k < BILLING_KINDS; k++) {
        if (billing_kind(k)->member && !billing_kind(k)->is_usage)
            put_text(p, "<th class=\"n\">", billing_kind(k)->member, "</th>");
    }
    put(p, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < s->grants_n; i++) {
        const struct billing_grant *g = &s->grants[i];
        put_text(p, "<tr><td>", g->reference ? g->reference : g->grant_id.text, "</td>");
        put_text(p, "<td>", g->category, "</td>");
        put_text(p, "<td>", g->note, "</td>");
        for (int k = 0; k < BILLING_KINDS; k++) {
            if (billing_kind(k)->member && !billing_kind(k)->is_usage)
                put_credits(p, g->sums.amount[k]);
        }
        put(p, "</tr>\n");
    }
    put(p, "</tbody>\n</table>\n");
}

char *statement_html(void *ctx, const struct statement *s)
{
    char month[CALENDAR_MONTH_SIZE], from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
    struct page page = {.ctx = ctx}, *p = &page;
    put(p, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    put_text(p, "<title>Statement ", calendar_month_text(s->month, month), " ");
    put_text(p, "", s->workspace, "</title>\n<style>");
    put(p, style);
    put_text(p, "</style>\n</head>\n<body>\n<h1>Statement ", month, "</h1>\n");
    put_text(p, "<p>", s->workspace, "<br>\n");
    put_text(p, "<small>", s->workspace_id.text, "</small></p>\n");
    put_text(p, "<p><small>", clock_text_offset(s->period.start_ms, from), " to ");
    put_text(p, "", clock_text_offset(s->period.end_ms, to), " (");
    put_text(p, "", s->timezone, "). All amounts are credits.</small></p>\n");
    put_summary(p, s);
    if (s->lines_n > 0)
        put_lines(p, s);
    if (s->grants_n > 0)
        put_grants(p, s);
    put(p, "</body>\n</html>\n");
    return talloc_strndup(ctx, text_buffer_text(&p->b), p->b.size);
}
