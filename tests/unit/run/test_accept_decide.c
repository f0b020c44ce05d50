#include <criterion/criterion.h>
#include <string.h>

#include "run/accept_private.h"

enum { CREDIT = 1000000 };

static struct run_request requests[4];
static struct run_answer answers[4];
static struct account accounts[2];
static struct accept_entry entries[4];
static struct accept_batch batch;

/* A batch of `n` roots of the first workspace, each with its own id, that cost one credit. */
static void begin_batch(size_t n, int64_t balance)
{
    memset(requests, 0, sizeof requests);
    memset(answers, 0, sizeof answers);
    batch = (struct accept_batch){.n = n, .entries = entries, .accounts = accounts, .accounts_n = 2};
    for (size_t i = 0; i < 2; i++)
        accounts[i] = (struct account){
            .workspace_id = id_new(), .balance = balance, .head_remaining = balance, .price = -1};
    for (size_t i = 0; i < n; i++) {
        requests[i] = (struct run_request){.execution_id = id_new(),
                                           .workspace_id = accounts[0].workspace_id,
                                           .price = -1,
                                           .first_response = {202, span_text("{}")}};
        batch.entries[i] =
            (struct accept_entry){.req = &requests[i], .answer = &answers[i], .account = &accounts[0]};
    }
}

static void move_to_second_workspace(size_t i)
{
    requests[i].workspace_id = accounts[1].workspace_id;
    batch.entries[i].account = &accounts[1];
}

Test(accept_decide, accepts_and_debits_in_memory)
{
    begin_batch(1, 5 * CREDIT);
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_ACCEPTED);
    cr_assert(id_equal(&answers[0].execution_id, &requests[0].execution_id));
    cr_assert_eq(answers[0].response.status, 202);
    cr_assert_eq(answers[0].cost, CREDIT);
    cr_assert_eq(batch.entries[0].cost, CREDIT);
    cr_assert_eq(accounts[0].balance, 4 * CREDIT);
    cr_assert(accounts[0].changed);
    cr_assert_eq(accounts[0].active, 0, "not counted without max_concurrent");
}

Test(accept_decide, later_entries_see_the_debits_of_earlier_ones)
{
    begin_batch(3, 2 * CREDIT);
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_ACCEPTED);
    cr_assert_eq(answers[1].verdict, RUN_ACCEPTED);
    cr_assert_eq(answers[2].verdict, RUN_INSUFFICIENT_CREDITS);
    cr_assert_eq(accounts[0].balance, 0);
}

Test(accept_decide, a_rejected_entry_leaves_its_account_alone)
{
    begin_batch(1, CREDIT - 1);
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_INSUFFICIENT_CREDITS);
    cr_assert_eq(accounts[0].balance, CREDIT - 1);
    cr_assert_not(accounts[0].changed);
}

Test(accept_decide, a_decided_entry_is_left_alone)
{
    begin_batch(2, 5 * CREDIT);
    answers[0].verdict = RUN_PARENT_GONE;
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_PARENT_GONE);
    cr_assert_eq(answers[1].verdict, RUN_ACCEPTED);
    cr_assert_eq(accounts[0].balance, 4 * CREDIT);
}

Test(accept_decide, counts_roots_against_max_concurrent_but_not_children)
{
    begin_batch(3, 9 * CREDIT);
    accounts[0].max_concurrent = 3;
    accounts[0].active = 2;
    requests[1].parent.id = id_new();
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_ACCEPTED);
    cr_assert_eq(answers[1].verdict, RUN_ACCEPTED, "a child");
    cr_assert_eq(answers[2].verdict, RUN_CONCURRENCY_LIMITED);
    cr_assert_eq(answers[2].active, 3);
    cr_assert_eq(answers[2].limit, 3);
    cr_assert_eq(accounts[0].active, 3);
}

Test(accept_decide, a_delayed_run_is_charged_but_not_active)
{
    begin_batch(3, 9 * CREDIT);
    accounts[0].max_concurrent = 1;
    accounts[0].active = 1;
    accounts[0].delayed = 3;
    for (size_t i = 0; i < 2; i++) {
        requests[i].start_ms = 1;
        requests[i].delayed_limit = 4;
    }
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_ACCEPTED);
    cr_assert_eq(answers[1].verdict, RUN_DELAYED_LIMITED);
    cr_assert_eq(answers[1].limit, 4);
    cr_assert_eq(answers[2].verdict, RUN_CONCURRENCY_LIMITED);
    cr_assert_eq(accounts[0].active, 1);
    cr_assert_eq(accounts[0].delayed, 4);
    cr_assert_eq(accounts[0].balance, 8 * CREDIT);
}

Test(accept_decide, a_repeated_key_replays_the_earlier_entry)
{
    begin_batch(2, 5 * CREDIT);
    requests[0].idempotency_key = requests[1].idempotency_key = span_text("key");
    requests[0].first_response.body = span_text("{\"first\":true}");
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_ACCEPTED);
    cr_assert_eq(answers[1].verdict, RUN_REPLAYED);
    cr_assert(id_equal(&answers[1].execution_id, &requests[0].execution_id));
    cr_assert_eq(answers[1].response.body.at, requests[0].first_response.body.at);
    cr_assert_eq(accounts[0].balance, 4 * CREDIT, "debited once");
}

Test(accept_decide, a_repeated_key_with_another_fingerprint_is_reused)
{
    begin_batch(2, 5 * CREDIT);
    requests[0].idempotency_key = requests[1].idempotency_key = span_text("key");
    requests[1].fingerprint[31] = 1;
    accept_decide(&batch);
    cr_assert_eq(answers[1].verdict, RUN_KEY_REUSED);
}

Test(accept_decide, a_repeated_tool_call_names_the_earlier_execution)
{
    begin_batch(2, 5 * CREDIT);
    requests[0].tool_call_id = requests[1].tool_call_id = span_text("call");
    accept_decide(&batch);
    cr_assert_eq(answers[1].verdict, RUN_TOOL_CALL_EXISTS);
    cr_assert(id_equal(&answers[1].execution_id, &requests[0].execution_id));
}

Test(accept_decide, the_same_key_of_another_workspace_is_no_duplicate)
{
    begin_batch(2, 5 * CREDIT);
    requests[0].idempotency_key = requests[1].idempotency_key = span_text("key");
    move_to_second_workspace(1);
    accept_decide(&batch);
    cr_assert_eq(answers[1].verdict, RUN_ACCEPTED);
}

Test(accept_decide, a_key_of_a_rejected_entry_is_still_free)
{
    begin_batch(2, 5 * CREDIT);
    requests[0].idempotency_key = requests[1].idempotency_key = span_text("key");
    requests[0].price = 6 * CREDIT;
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_INSUFFICIENT_CREDITS);
    cr_assert_eq(answers[1].verdict, RUN_ACCEPTED);
}

Test(accept_decide, a_tree_grows_to_its_limit_exactly)
{
    begin_batch(4, 9 * CREDIT);
    struct accept_tree full = {.root_id = id_new(), .size = TREE_SIZE_MAX - 3};
    struct accept_tree small = {.root_id = id_new()};
    for (size_t i = 0; i < 3; i++)
        batch.entries[i].tree = &full;
    batch.entries[3].tree = &small;
    accept_decide(&batch);
    cr_assert_eq(answers[0].verdict, RUN_ACCEPTED);
    cr_assert_eq(answers[1].verdict, RUN_ACCEPTED, "the root and 9,999 descendants");
    cr_assert_eq(answers[2].verdict, RUN_TREE_LIMIT);
    cr_assert_eq(answers[3].verdict, RUN_ACCEPTED);
    cr_assert_eq(full.size, TREE_SIZE_MAX - 1);
    cr_assert_eq(small.size, 1);
    cr_assert(full.changed && small.changed);
    cr_assert_eq(accounts[0].balance, 6 * CREDIT);
}

Test(accept_decide, a_rejected_child_does_not_count)
{
    begin_batch(2, CREDIT);
    struct accept_tree tree = {.root_id = id_new(), .size = 7};
    batch.entries[0].tree = batch.entries[1].tree = &tree;
    accept_decide(&batch);
    cr_assert_eq(answers[1].verdict, RUN_INSUFFICIENT_CREDITS);
    cr_assert_eq(tree.size, 8);
}
