/* An end of a run as a server-sent event of the feed. Pure. */
#pragma once

#include "store/feed.h"

/* Appends the event to the talloc string *out. Its data are {execution_id, seq, type, at, data} as in the
 * stream of the run, and responder_id, kind, parent_id and tags. */
void feed_json_append(char **out, const struct feed_row *row);
/* Appends the event that tells that the ends up to `after` are not known any more. */
void feed_gap_append(char **out, int64_t after);
