/* A schedule and an occurrence as the JSON of the API. */
#pragma once

#include "store/schedule.h"
#include "json/json_write.h"

void view_schedule(struct json_write *w, const struct schedule *s);
void view_occurrence(struct json_write *w, const struct occurrence_row *o);
