#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "push/batch.h"
#include "json/json.h"

enum { COLUMNS = PUSH_ROWS_PART + 1 };

static const char workspace[] = "01a20000-0000-7000-8000-000000000001";
static const char row_id[] = "01a20000-0000-7000-8000-00000000000a";
static const char other_id[] = "01a20000-0000-7000-8000-00000000000b";
static const char grant[] = "01a20000-0000-7000-8000-00000000000c";
static const char second[] = "01a20000-0000-7000-8000-00000000000d";

static void set_text(struct db_rows *rows, size_t r, size_t column, const char *text)
{
    rows->cells[r * COLUMNS + column] = (struct db_cell){.text = text, .size = strlen(text)};
}

static void set_number(struct db_rows *rows, size_t r, size_t column, int64_t number)
{
    rows->cells[r * COLUMNS + column] = (struct db_cell){.number = number};
}

static struct db_rows *new_rows(void *ctx, size_t n)
{
    struct db_rows *rows = talloc_zero(ctx, struct db_rows);
    rows->count = n;
    rows->columns = COLUMNS;
    rows->cells = talloc_zero_array(rows, struct db_cell, n * COLUMNS);
    for (size_t i = 0; i < n * COLUMNS; i++)
        rows->cells[i].is_null = true;
    return rows;
}

static void set_row(struct db_rows *rows, size_t r, const char *row, int kind, int64_t amount)
{
    set_number(rows, r, PUSH_ROWS_NUMBER, 7);
    set_text(rows, r, PUSH_ROWS_WORKSPACE_ID, workspace);
    set_text(rows, r, PUSH_ROWS_WORKSPACE, "a \"b\"");
    set_text(rows, r, PUSH_ROWS_ID, row);
    set_number(rows, r, PUSH_ROWS_KIND, kind);
    set_number(rows, r, PUSH_ROWS_AMOUNT, amount);
}

static void set_part(struct db_rows *rows, size_t r, const char *of, int64_t amount)
{
    set_text(rows, r, PUSH_ROWS_PART_GRANT_ID, of);
    set_number(rows, r, PUSH_ROWS_PART, amount);
}

static const char *member(json_object *o, const char *name)
{
    return json_object_to_json_string_ext(json_object_object_get(o, name), JSON_C_TO_STRING_PLAIN);
}

Test(push, the_parts_of_a_row_are_one_event)
{
    void *ctx = talloc_new(NULL);
    struct db_rows *rows = new_rows(ctx, 3);
    size_t n, size;
    set_row(rows, 0, row_id, LEDGER_DEBIT, -3500000);
    set_part(rows, 0, grant, -3000000);
    set_row(rows, 1, row_id, LEDGER_DEBIT, -3500000);
    set_part(rows, 1, second, -500000);
    set_row(rows, 2, other_id, LEDGER_GRANT, 1000000);
    set_text(rows, 2, PUSH_ROWS_GRANT_ID, grant);
    const char *text = push_events(ctx, rows, 3, push_all_kinds(), &n, &size);
    json_object *list = json_tokener_parse(text), *first = json_object_array_get_idx(list, 0);
    json_object *data = json_object_object_get(first, "data");
    cr_assert_eq(n, 2);
    cr_expect_eq(size, strlen(text));
    cr_expect_eq(json_object_array_length(list), 2);
    cr_expect_str_eq(member(first, "id"), "\"01a20000-0000-7000-8000-00000000000a\"");
    cr_expect_str_eq(member(first, "type"), "\"millrace.usage\"");
    cr_expect_str_eq(member(first, "subject"), "\"01a20000-0000-7000-8000-000000000001\"");
    cr_expect_str_eq(member(data, "used"), "3.5");
    cr_expect_str_eq(member(data, "workspace"), "\"a \\\"b\\\"\"");
    cr_expect_str_eq(member(data, "grants"),
                     "[{\"grant_id\":\"01a20000-0000-7000-8000-00000000000c\",\"credits\":-3},"
                     "{\"grant_id\":\"01a20000-0000-7000-8000-00000000000d\",\"credits\":-0.5}]");
    json_object *balance = json_object_array_get_idx(list, 1);
    cr_expect_str_eq(member(balance, "type"), "\"millrace.balance\"");
    cr_expect_null(json_object_object_get(json_object_object_get(balance, "data"), "used"));
    json_object_put(list);
    talloc_free(ctx);
}

Test(push, kinds_that_are_not_wanted_or_not_known_are_left_out)
{
    void *ctx = talloc_new(NULL);
    struct db_rows *rows = new_rows(ctx, 3);
    size_t n, size;
    uint32_t kinds;
    cr_assert(push_kinds_parse("debit,refund", &kinds));
    set_row(rows, 0, row_id, LEDGER_GRANT, 1);
    set_row(rows, 1, other_id, 15, 1);
    set_row(rows, 2, grant, LEDGER_REFUND, 1);
    const char *text = push_events(ctx, rows, 3, kinds, &n, &size);
    cr_expect_eq(n, 1);
    cr_expect_not_null(strstr(text, "\"kind\":\"refund\""));
    cr_expect_not_null(strstr(text, "\"used\":-0.000001"));
    cr_expect_str_eq(push_events(ctx, rows, 0, kinds, &n, &size), "[]");
    talloc_free(ctx);
}

Test(push, what_becomes_of_a_row)
{
    uint32_t two = UINT32_C(1) << LEDGER_DEBIT | UINT32_C(1) << 20;
    cr_expect_eq(push_use_of(LEDGER_DEBIT, two), PUSH_SEND);
    cr_expect_eq(push_use_of(LEDGER_GRANT, two), PUSH_SKIP);
    cr_expect_eq(push_use_of(20, two), PUSH_LEAVE, "a later version has made the destination");
    cr_expect_eq(push_use_of(19, two), PUSH_SKIP);
    cr_expect_eq(push_use_of(200, two), PUSH_SKIP);
    cr_expect_eq(push_use_of(LEDGER_GRANT, PUSH_KINDS_ALL), PUSH_SEND);
    static const int64_t later[] = {0, LEDGER_KINDS_END, 15, 31, 32, 255};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        cr_expect_eq(push_use_of(later[i], PUSH_KINDS_ALL), PUSH_LEAVE, "%d", (int)later[i]);
}

Test(push, the_cursor_stops_before_the_number_of_a_kind_of_a_later_version)
{
    void *ctx = talloc_new(NULL);
    struct db_rows *rows = new_rows(ctx, 4);
    uint32_t known = push_all_kinds();
    for (size_t i = 0; i < 4; i++) {
        set_row(rows, i, row_id, LEDGER_DEBIT, -1);
        set_number(rows, i, PUSH_ROWS_NUMBER, i == 0 ? 7 : i == 3 ? 9 : 8);
    }
    cr_expect_eq(push_rows_before_left(rows, 4, PUSH_KINDS_ALL), 4);
    cr_expect_eq(push_rows_before_left(rows, 0, PUSH_KINDS_ALL), 0);
    set_number(rows, 3, PUSH_ROWS_KIND, 200);
    cr_expect_eq(push_rows_before_left(rows, 4, PUSH_KINDS_ALL), 3);
    set_number(rows, 2, PUSH_ROWS_KIND, 200);
    cr_expect_eq(push_rows_before_left(rows, 4, PUSH_KINDS_ALL), 1, "row 1 has the same number");
    cr_expect_eq(push_rows_before_left(rows, 4, known), 4, "it does not want the kind");
    set_number(rows, 0, PUSH_ROWS_KIND, 200);
    cr_expect_eq(push_rows_before_left(rows, 4, PUSH_KINDS_ALL), 0);
    talloc_free(ctx);
}

Test(push, names_of_kinds)
{
    void *ctx = talloc_new(NULL);
    uint32_t kinds;
    cr_expect(push_kinds_parse(push_kinds_text(ctx, push_all_kinds()), &kinds));
    cr_expect_eq(kinds, push_all_kinds());
    cr_expect(push_kinds_parse("all", &kinds));
    cr_expect_eq(kinds, PUSH_KINDS_ALL);
    cr_expect_str_eq(push_kinds_text(ctx, kinds), push_kinds_text(ctx, push_all_kinds()));
    static const char *const wrong[] = {"",      ",",      "debit,",      ",debit", "debit,,refund",
                                        "Debit", "debits", "debit refund"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(push_kinds_parse(wrong[i], &kinds), "%s", wrong[i]);
    talloc_free(ctx);
}

Test(push, what_an_answer_means)
{
    static const struct {
        int status;
        enum push_outcome outcome;
    } cases[] = {{200, PUSH_ACCEPTED}, {204, PUSH_ACCEPTED}, {299, PUSH_ACCEPTED}, {100, PUSH_LATER},
                 {301, PUSH_LATER},    {307, PUSH_LATER},    {400, PUSH_REJECTED}, {401, PUSH_LATER},
                 {403, PUSH_LATER},    {404, PUSH_LATER},    {408, PUSH_LATER},    {409, PUSH_REJECTED},
                 {413, PUSH_REJECTED}, {422, PUSH_REJECTED}, {425, PUSH_LATER},    {429, PUSH_LATER},
                 {500, PUSH_LATER},    {503, PUSH_LATER}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(push_outcome_of(cases[i].status), cases[i].outcome, "%d", cases[i].status);
}
