/* Entries of the executors' log (redis/log_stream.h), parsed and formatted as server-sent events once for all
 * who read them. Whoever has no filter sends the text as it is, so that a dozen screens that follow a busy
 * log cost little more than one. */
#pragma once

#include "redis/log_stream.h"
#include "stream/internal_request.h"
#include "stream/shared_text.h"

struct log_page;

/* *entries: oldest first; copied. `packs`: streams that are compressed may send it. Any thread. */
struct log_page *log_page_new(void *ctx, const struct log_entry *entries, size_t n, bool packs);
/* The request asks for some lines only, whatever their level. */
bool log_request_filters(const struct internal_request *request);
/* The events of all lines, if the request asks for no less and none was sent; otherwise NULL. `after`: the
 * entries up to this one were sent. */
const struct shared_text *log_page_whole(const struct log_page *page, const struct internal_request *request,
                                         struct log_position after);
/* The position of its last line, of which it has one if log_page_whole has returned it. */
struct log_position log_page_last(const struct log_page *page);
/* Appends the events of the lines after `after` that the request asks for. The last one of an entry has its
 * position as its id. *told_r is set to the last id appended, and left alone if no line matches. */
void log_page_append(char **out, const struct log_page *page, const struct internal_request *request,
                     struct log_position after, struct log_position *told_r);
/* Appends an event that only has an id. */
void log_position_append(char **out, struct log_position position);
