#include "executor/db_thread/claim_turns.h"

bool claim_round_has(const struct claim_round *round, const id *workspace)
{
    for (size_t i = 0; i < round->n; i++) {
        if (id_equal(&round->visits[i].workspace, workspace))
            return true;
    }
    return false;
}

bool claim_round_add(struct claim_round *round, const id *workspace)
{
    if (claim_round_has(round, workspace) || round->n == CLAIM_WORKSPACES_MAX)
        return false;
    round->visits[round->n++] = (struct claim_visit){.workspace = *workspace};
    return true;
}

/* Workspaces from `from` on that may still give runs. */
static size_t count_open(const struct claim_round *round, size_t from)
{
    size_t open = 0;
    for (size_t i = from; i < round->n; i++)
        open += !round->visits[i].exhausted;
    return open;
}

struct claim_visit *claim_round_next(struct claim_round *round, size_t *share_r)
{
    size_t open = count_open(round, round->at);
    if (open == 0) { /* the next pass */
        round->at = 0;
        open = count_open(round, 0);
    }
    if (open == 0 || round->places == 0)
        return NULL;
    while (round->visits[round->at].exhausted)
        round->at++;
    *share_r = (round->places + open - 1) / open;
    return &round->visits[round->at++];
}

void claim_round_given(struct claim_round *round, struct claim_visit *visit, bool has_more, size_t given)
{
    round->places -= given;
    visit->exhausted = !has_more;
}

bool claim_round_may_have_more(const struct claim_round *round)
{
    return round->places == 0 || round->n == CLAIM_WORKSPACES_MAX;
}
