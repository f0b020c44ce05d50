/* An end of a run as a server-sent event of the feed. Pure. */
#pragma once

#include "store/feed.h"

/* Appends the event to the talloc string *out. Its data are {execution_id, seq, type, at, data} as in the
 * stream of the run, and responder_id, kind, parent_id and tags. */
void feed_json_append(char **out, const struct feed_row *row);
/* Appends the events of rows until *out has `max` bytes, so at most one event more than that, and at least
 * one event to an empty text. ends[i + 1] is the size of the text after row i: it has count + 1 elements.
 * Returns the number of rows that were appended. */
size_t feed_page_append(char **out, size_t *ends, const struct feed_row *rows, size_t count, size_t max);
/* Appends the event that tells how many runs have ended, by state, since the one before. */
void feed_summary_append(char **out, int64_t number, const int ended[STATE_STOPPED + 1]);
/* Appends the event that tells that the ends up to `after` are not known any more. */
void feed_gap_append(char **out, int64_t after);
