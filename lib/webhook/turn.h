/* The choice of the messages of one fan-out: which workspaces come next, and how many messages each gives.
 *
 * A turn takes up to WEBHOOK_TURN_WORKSPACES workspaces that have waiting messages, in the order of an index,
 * and begins after the last one of the turn before. The places are shared: a first message of each workspace,
 * then a second one of those that have one, and so on. So no number of messages and no number of workspaces
 * keeps one from its turn.
 *
 * The rows are read in pages by (workspace, message). A page is as long as the largest share that one more
 * workspace can have beside those that were read, and each page adds a workspace. So a turn reads about
 * 2 * WEBHOOK_FANOUT_MAX * (1 + 1/2 + … + 1/32) = 1,600 rows at most, in at most 34 pages, however many
 * messages wait. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"

enum { WEBHOOK_FANOUT_MAX = 200, WEBHOOK_TURN_WORKSPACES = 32 };

/* A row of a page. */
struct webhook_waiting {
    id workspace, message;
};

/* A message that was chosen. */
struct webhook_choice {
    id message;
    /* Of the turn. */
    size_t workspace;
    /* 0: the first message of its workspace. */
    size_t round;
};

struct webhook_turn {
    struct webhook_turn_workspace {
        id id;
        id *messages;
        size_t n;
    } list[WEBHOOK_TURN_WORKSPACES];
    size_t n;
    /* The next page begins after this workspace; not set: at the beginning of the index. */
    id after;
    bool wraps;
};

/* Begins after a workspace; not set: at the beginning. */
void webhook_turn_begin(struct webhook_turn *t, const id *after);
/* Rows of the next page. */
size_t webhook_turn_page(const struct webhook_turn *t);
/* Adds a page that was asked for with `limit` rows. True: there is a next page to read. The ids are copied
 * to `ctx`. */
bool webhook_turn_add(void *ctx, struct webhook_turn *t, const struct webhook_waiting *rows, size_t n,
                      size_t limit);
/* The messages in the order in which they are fanned out, at most WEBHOOK_FANOUT_MAX. */
size_t webhook_turn_choose(const struct webhook_turn *t,
                           struct webhook_choice choices_r[static WEBHOOK_FANOUT_MAX]);
/* True if more messages may wait than were chosen. */
bool webhook_turn_may_have_more(const struct webhook_turn *t, size_t chosen);
