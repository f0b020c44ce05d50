#include "executor/db_thread/claim_turns.h"

static size_t cursor_index(const id *workspace)
{
    return id_hash(workspace) % SCAN_CURSORS;
}

void scan_place_reset(struct scan_place *place)
{
    *place = (struct scan_place){.last_workspace = place->last_workspace};
}

id scan_place_of(const struct scan_place *place, const id *workspace)
{
    const struct scan_cursor *c = &place->cursors[cursor_index(workspace)];
    return id_equal(&c->workspace, workspace) ? c->newest : (id){0};
}

bool scan_place_continue(const struct scan_place *place, struct claim_round *round)
{
    if (place->open_n == 0 || place->open_n > claim_round_wanted(round))
        return false;
    for (size_t i = 0; i < place->open_n; i++)
        claim_round_add(round, &place->open[i]);
    return true;
}

void scan_place_keep(struct scan_place *place, const struct claim_round *round, bool all)
{
    place->open_n = 0;
    for (size_t i = 0; i < round->n; i++) {
        const struct claim_visit *v = &round->visits[i];
        if (all && !v->exhausted)
            place->open[place->open_n++] = v->workspace;
        if (id_is_set(&v->newest))
            place->cursors[cursor_index(&v->workspace)] = (struct scan_cursor){v->workspace, v->newest};
    }
    if (round->n > 0)
        place->last_workspace = round->visits[round->n - 1].workspace;
}

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

size_t claim_round_wanted(const struct claim_round *round)
{
    size_t wanted = (round->places + CLAIM_SHARE_MIN - 1) / CLAIM_SHARE_MIN;
    size_t left = CLAIM_WORKSPACES_MAX - round->n;
    return wanted < left ? wanted : left;
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

size_t claim_visit_due_share(const struct claim_visit *visit, size_t share)
{
    if (visit->due_exhausted)
        return 0;
    return visit->queued_exhausted ? share : (share + visit->odd_for_due) / 2;
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
