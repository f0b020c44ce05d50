#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cluster/writer.h"

static struct writer_look look_of(const char *self, int index, const char *writer, bool writer_is_member)
{
    struct writer_look look = {.is_clustered = true,
                               .is_ready = true,
                               .local_state = 4,
                               .index = index,
                               .writer_is_member = writer_is_member,
                               .members = ""};
    snprintf(look.self, sizeof look.self, "%s", self);
    snprintf(look.writer, sizeof look.writer, "%s", writer);
    return look;
}

Test(writer, is_the_node_that_the_row_names)
{
    struct writer_look look = look_of("a", 0, "a", true);
    cr_expect(writer_is_self(&look));
    look.local_state = 2;
    cr_expect(writer_is_self(&look), "a donor goes on writing");
    look.local_state = 1;
    cr_expect_not(writer_is_self(&look), "a joiner is behind");
    look = look_of("a", 0, "b", true);
    cr_expect_not(writer_is_self(&look));
    look = look_of("", 0, "", false);
    cr_expect_not(writer_is_self(&look), "its address is not known");
    look = look_of("a", 0, "a", true);
    look.is_read_only = true;
    cr_expect_not(writer_is_self(&look));
    look.is_read_only = false;
    look.is_ready = false;
    cr_expect_not(writer_is_self(&look), "the minority's row says nothing");
}

Test(writer, is_any_server_without_galera_that_is_not_read_only)
{
    struct writer_look look = {.is_ready = true, .members = ""};
    struct writer_watch watch = {0};
    cr_expect(writer_is_self(&look));
    cr_expect(writer_can_read(&look));
    cr_expect_eq(writer_decide(&watch, &look, 1), WRITER_WAIT);
    look.is_read_only = true;
    cr_expect_not(writer_is_self(&look));
}

Test(writer, beats_while_the_row_is_its_own)
{
    struct writer_watch watch = {0};
    struct writer_look look = look_of("a", 2, "a", true);
    cr_expect_eq(writer_decide(&watch, &look, 5000), WRITER_BEAT);
    cr_expect_eq(writer_decide(&watch, &look, 5000 + WRITER_SILENT_MS + 1), WRITER_BEAT,
                 "it tries on when its beats have failed for long");
}

Test(writer, is_replaced_by_the_nodes_in_turn_when_it_has_left_the_view)
{
    for (int index = 0; index < 3; index++) {
        struct writer_watch watch = {0};
        struct writer_look look = look_of("a", index, "gone", false);
        for (int64_t t = 0; t < (int64_t)WRITER_TURN_MS * index; t += 250)
            cr_expect_eq(writer_decide(&watch, &look, 1000 + t), WRITER_WAIT, "node %d at %lld", index,
                         (long long)t);
        cr_expect_eq(writer_decide(&watch, &look, 1000 + (int64_t)WRITER_TURN_MS * index), WRITER_TAKE);
    }
}

Test(writer, is_taken_by_the_first_node_where_there_is_no_row)
{
    struct writer_watch watch = {0};
    struct writer_look look = look_of("a", 0, "", false);
    cr_expect_eq(writer_decide(&watch, &look, 1000), WRITER_TAKE);
}

Test(writer, is_replaced_when_its_counter_stands_still_and_only_then)
{
    struct writer_watch watch = {0};
    struct writer_look look = look_of("a", 0, "b", true);
    cr_expect_eq(writer_decide(&watch, &look, 1000), WRITER_WAIT);
    cr_expect_eq(writer_decide(&watch, &look, 1000 + WRITER_SILENT_MS - 1), WRITER_WAIT);
    look.beat = 1;
    cr_expect_eq(writer_decide(&watch, &look, 1000 + WRITER_SILENT_MS), WRITER_WAIT);
    cr_expect_eq(writer_decide(&watch, &look, 1000 + 2 * WRITER_SILENT_MS - 1), WRITER_WAIT);
    cr_expect_eq(writer_decide(&watch, &look, 1000 + 2 * WRITER_SILENT_MS), WRITER_TAKE);
}

Test(writer, waits_again_in_turn_when_another_took_the_row)
{
    struct writer_watch watch = {0};
    struct writer_look look = look_of("b", 1, "gone", false);
    cr_expect_eq(writer_decide(&watch, &look, 1000), WRITER_WAIT);
    look = look_of("b", 1, "a", true);
    cr_expect_eq(writer_decide(&watch, &look, 1500), WRITER_WAIT);
    look = look_of("b", 1, "a", false);
    cr_expect_eq(writer_decide(&watch, &look, 2400), WRITER_WAIT, "the turns begin anew");
    cr_expect_eq(writer_decide(&watch, &look, 3400), WRITER_TAKE);
}

Test(writer, is_not_taken_by_a_node_that_is_behind_or_alone)
{
    struct writer_watch watch = {0};
    struct writer_look look = look_of("a", 0, "gone", false);
    look.local_state = 2;
    cr_expect_eq(writer_decide(&watch, &look, 1000), WRITER_WAIT);
    look.local_state = 4;
    look.is_ready = false;
    cr_expect_eq(writer_decide(&watch, &look, 2000), WRITER_WAIT);
    look.is_ready = true;
    look.is_read_only = true;
    cr_expect_eq(writer_decide(&watch, &look, 3000), WRITER_WAIT);
}
