#include <criterion/criterion.h>
#include <talloc.h>

#include "executor/db_thread/child_job.h"
#include "executor/db_thread/commit.h"

Test(commit, keeps_one_row_a_step_and_all_events)
{
    id run = {"00000000-0000-7000-8000-000000000001"};
    struct commit *c = commit_new(&run, &run, 3);
    char text[16];
    cr_assert(commit_is_empty(c));
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "[%d]", i);
        commit_put_step(c, &(struct run_step){.step = i % 2, .item = i % 5 - 1, .tries = i, .result = text});
        commit_add_event(c, EVENT_STEP_SUCCEEDED, i, text);
    }
    cr_assert_eq(c->steps_n, 10U);
    cr_assert_eq(c->events_n, 40U);
    for (size_t i = 0; i < c->steps_n; i++) { /* the last row of each step and item: 30 to 39 */
        cr_assert_geq(c->steps[i].tries, 30);
        snprintf(text, sizeof text, "[%d]", c->steps[i].tries);
        cr_assert_str_eq(c->steps[i].result, text);
    }
    cr_assert_not(c->side_effects_started);
    commit_add_event(c, EVENT_STEP_STARTED, 1, NULL);
    cr_assert(c->side_effects_started, "a started step excludes a refund");
    snprintf(text, sizeof text, "why");
    commit_set_move(c, &(struct run_move){.move = MOVE_FAIL, .error = text});
    text[0] = 'x';
    cr_assert_str_eq(c->move.error, "why");
    cr_assert_not(commit_is_empty(c));
    talloc_free(c);
}

static int freed_children;

static int count_freed(struct child_job *child)
{
    (void)child;
    freed_children++;
    return 0;
}

Test(commit, frees_the_children_that_were_not_taken)
{
    id run = {"00000000-0000-7000-8000-000000000001"};
    struct commit *c = commit_new(&run, &run, 0);
    struct child_job *children[3];
    size_t bytes = c->bytes;
    for (size_t i = 0; i < 3; i++) {
        children[i] = talloc_zero(NULL, struct child_job);
        talloc_set_destructor(children[i], count_freed);
        children[i]->request.input = span_text("{}");
        commit_add_child(c, children[i]);
    }
    cr_assert_eq(c->bytes - bytes, 3 * (COMMIT_ROW_BYTES + 2U));
    commit_remove_child(c, children[0]);
    cr_assert_eq(c->children_n, 2U);
    cr_assert_eq(c->bytes - bytes, 2 * (COMMIT_ROW_BYTES + 2U));
    cr_assert(c->children[0] != children[0] && c->children[1] != children[0]);
    talloc_free(c);
    cr_assert_eq(freed_children, 2);
    talloc_free(children[0]);
}
