#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "executor/cache/current_rows.h"

static const id workspace = {"00000000-0000-7000-8000-000000000001"},
                other = {"00000000-0000-7000-8000-000000000002"};

static void put(struct current_rows *all, const char *name, int64_t catalog_version, int64_t read_ms)
{
    const struct current_row row = {.version = (int)catalog_version + 1,
                                    .price = 7,
                                    .catalog_version = catalog_version,
                                    .read_ms = read_ms};
    current_rows_put(all, &workspace, name, &row);
}

Test(current_rows, are_used_until_they_are_too_old)
{
    struct current_rows *all = current_rows_new(NULL);
    cr_assert_null(current_rows_get(all, &workspace, "a", 5000));
    put(all, "a", 3, 5000);
    const struct current_row *row = current_rows_get(all, &workspace, "a", 5000 + CURRENT_ROW_MS - 1);
    cr_assert(row && row->version == 4 && row->price == 7 && row->catalog_version == 3);
    cr_expect_null(current_rows_get(all, &workspace, "a", 5000 + CURRENT_ROW_MS));
    put(all, "a", 4, 5000 + CURRENT_ROW_MS);
    row = current_rows_get(all, &workspace, "a", 5000 + CURRENT_ROW_MS);
    cr_expect(row && row->catalog_version == 4);
    talloc_free(all);
}

Test(current_rows, belong_to_one_name_of_one_workspace)
{
    struct current_rows *all = current_rows_new(NULL);
    put(all, "a", 3, 5000);
    cr_expect_null(current_rows_get(all, &workspace, "ab", 5000));
    cr_expect_null(current_rows_get(all, &other, "a", 5000));
    talloc_free(all);
}

Test(current_rows, are_forgotten_only_as_they_were_used)
{
    struct current_rows *all = current_rows_new(NULL);
    put(all, "a", 3, 5000);
    current_rows_forget(all, &workspace, "a", 2);
    cr_expect(current_rows_get(all, &workspace, "a", 5000), "another child has read it anew");
    current_rows_forget(all, &workspace, "a", 3);
    cr_expect_null(current_rows_get(all, &workspace, "a", 5000));
    current_rows_forget(all, &workspace, "a", 3);
    talloc_free(all);
}

Test(current_rows, with_long_names_are_not_kept)
{
    struct current_rows *all = current_rows_new(NULL);
    char name[CURRENT_ROW_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[CURRENT_ROW_NAME_MAX + 1] = '\0';
    put(all, name, 3, 5000);
    cr_expect_null(current_rows_get(all, &workspace, name, 5000));
    current_rows_forget(all, &workspace, name, 3);
    name[CURRENT_ROW_NAME_MAX] = '\0';
    put(all, name, 3, 5000);
    cr_expect(current_rows_get(all, &workspace, name, 5000));
    talloc_free(all);
}

Test(current_rows, are_bounded)
{
    struct current_rows *all = current_rows_new(NULL);
    char name[16];
    put(all, "used", 3, 5000);
    for (int i = 0; i < 2 * CURRENT_ROWS_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        put(all, name, 3, 5000);
        cr_assert(current_rows_get(all, &workspace, "used", 5000));
    }
    cr_expect(current_rows_get(all, &workspace, name, 5000));
    cr_expect_null(current_rows_get(all, &workspace, "0", 5000));
    talloc_free(all);
}
