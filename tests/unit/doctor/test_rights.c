#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "doctor/rights.h"

static const struct grant_row wanted[] = {
    {"api", "accounts", "", "SELECT"},     {"api", "accounts", "", "UPDATE"},
    {"api", "ledger", "number", "UPDATE"}, {"api", "ledger", "room", "UPDATE"},
    {"api", "runs", "", "DELETE"},         {"api", "runs", "", "INSERT"},
    {"executor", "secrets", "", "SELECT"},
};
enum { WANTED = sizeof wanted / sizeof wanted[0] };
static const char everything[] = "SELECT on accounts, UPDATE on accounts, UPDATE (number) on ledger, "
                                 "UPDATE (room) on ledger, DELETE on runs and 1 more";

/* The lines of SHOW GRANTS, and what is missing ("": nothing). */
static const struct {
    const char *lines[4];
    const char *missing;
} cases[] = {
    {{NULL}, everything},
    {{"GRANT USAGE ON *.* TO `u`@`localhost` IDENTIFIED BY PASSWORD '*AB, (SELECT ON `'"}, everything},
    {{"GRANT SELECT, UPDATE ON `mill`.`accounts` TO `u`@`localhost`",
      "GRANT UPDATE (`number`, `room`) ON `mill`.`ledger` TO `u`@`localhost`",
      "GRANT INSERT, DELETE ON `mill`.`runs` TO `u`@`localhost`"},
     ""},
    /* of a role, and of everybody; bare names */
    {{"GRANT SELECT, UPDATE ON `mill`.`accounts` TO `role`",
      "GRANT SELECT (a), UPDATE (room, number), DELETE HISTORY ON mill.ledger TO u@localhost",
      "GRANT INSERT, DELETE ON `mill`.`runs` TO PUBLIC", "GRANT `role` TO `u`@`localhost`"},
     ""},
    /* the table's right for its columns, but not a column's for the table */
    {{"GRANT SELECT (`id`), UPDATE ON `mill`.`accounts` TO `u`@`%`",
      "GRANT UPDATE ON `mill`.`ledger` TO `u`@`%`",
      "GRANT INSERT, DELETE ON `mill`.`runs` TO `u`@`%` WITH GRANT OPTION"},
     "SELECT on accounts"},
    {{"GRANT SELECT, UPDATE ON `mill`.`accounts` TO `u`@`%`",
      "GRANT UPDATE (`number`) ON `mill`.`ledger` TO `u`@`%`", "GRANT INSERT ON `mill`.`runs` TO `u`@`%`"},
     "UPDATE (room) on ledger, DELETE on runs"},
    /* the whole database, the whole server, patterns */
    {{"GRANT ALL PRIVILEGES ON `mill`.* TO `u`@`localhost`"}, ""},
    {{"GRANT ALL PRIVILEGES ON *.* TO `u`@`localhost` WITH GRANT OPTION"}, ""},
    {{"GRANT SELECT, INSERT, UPDATE, DELETE ON `mi%`.* TO `u`@`localhost`"}, ""},
    {{"GRANT SELECT, INSERT, UPDATE, DELETE ON `%l%%`.* TO `u`@`localhost`"}, ""},
    {{"GRANT SELECT, INSERT, UPDATE, CREATE TEMPORARY TABLES ON `m_ll`.* TO `u`@`localhost`"},
     "DELETE on runs"},
    {{"GRANT ALL PRIVILEGES ON `m\\_ll`.* TO `u`@`localhost`"}, everything},
    {{"GRANT ALL PRIVILEGES ON `mil`.* TO `u`@`localhost`"}, everything},
    {{"GRANT ALL PRIVILEGES ON `mills%`.* TO `u`@`localhost`"}, everything},
    {{"GRANT ALL PRIVILEGES ON `m%x`.* TO `u`@`localhost`"}, everything},
    {{"GRANT ALL PRIVILEGES ON `other`.`accounts` TO `u`@`localhost`"}, everything},
    /* no rights of tables */
    {{"GRANT `ALL PRIVILEGES ON *.*` TO `u`@`localhost`"}, everything},
    {{"GRANT EXECUTE ON PROCEDURE `mill`.`p` TO `u`@`localhost`", "GRANT PROXY ON ''@'%' TO 'u'@'localhost'",
      "SET DEFAULT ROLE `r` FOR `u`@`localhost`"},
     everything},
    /* cut off anywhere */
    {{"", "GRANT ", "GRANT SELECT", "GRANT SELECT ("}, everything},
    {{"GRANT SELECT (`", "GRANT SELECT (`a`", "GRANT SELECT (`a`)", "GRANT ALL PRIVILEGES ON "}, everything},
    {{"GRANT ALL PRIVILEGES ON `mill`", "GRANT ALL PRIVILEGES ON `mill`.", "GRANT ALL PRIVILEGES ON `mill`.`",
      "GRANT ALL PRIVILEGES ON `mill"},
     everything},
};

Test(rights, are_read_from_the_lines_of_show_grants)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *ctx = talloc_new(NULL);
        struct rights have = {0};
        for (size_t l = 0; l < 4 && cases[i].lines[l]; l++)
            rights_add(ctx, &have, talloc_strdup(ctx, cases[i].lines[l]), "mill");
        const char *missing = rights_missing(ctx, &have, "api", wanted, WANTED);
        cr_expect_str_eq(missing ? missing : "", cases[i].missing, "case %zu: %s", i, missing);
        talloc_free(ctx);
    }
}

Test(rights, names_may_hold_backquotes)
{
    void *ctx = talloc_new(NULL);
    struct rights have = {0};
    rights_add(ctx, &have, "GRANT UPDATE (`a``, (b`) ON `m``.x`.`t ON ``` TO `u`@`localhost`", "m`.x");
    cr_assert_eq(have.n, 1);
    cr_expect_str_eq(have.list[0].name, "UPDATE");
    cr_expect_str_eq(have.list[0].column, "a`, (b");
    cr_expect_str_eq(have.list[0].table, "t ON `");
    talloc_free(ctx);
}

/* What the build made of sql/grants.sql. */
Test(rights, of_grants_sql_are_embedded)
{
    void *ctx = talloc_new(NULL);
    struct rights none = {0}, all = {0};
    rights_add(ctx, &all, "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`", "mill");
    static const char *const programs[] = {"api", "executor", "stream"};
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        cr_expect(rights_missing(ctx, &none, programs[i], grants, grants_count), "%s", programs[i]);
        cr_expect_null(rights_missing(ctx, &all, programs[i], grants, grants_count));
    }
    bool has_column = false;
    for (size_t i = 0; i < grants_count; i++)
        has_column |= strcmp(grants[i].program, "api") == 0 && strcmp(grants[i].table, "api_keys") == 0 &&
                      strcmp(grants[i].column, "last_used_ms") == 0 && strcmp(grants[i].right, "UPDATE") == 0;
    cr_expect(has_column);
    talloc_free(ctx);
}
