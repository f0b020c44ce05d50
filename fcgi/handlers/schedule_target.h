/* What a schedule starts: shared by the changes of a schedule and its trigger. */
#pragma once

#include "store/schedule.h"

struct request;

/* Reads the schedule of the path. False: the reply is set, or the request is rejected. */
bool schedule_of_path(struct request *r, struct schedule *s_r) WARN_UNUSED;
/* The `:execute` scope of what the schedule starts. False: the request is rejected. */
bool schedule_require_scope(struct request *r, const struct schedule *s) WARN_UNUSED;
/* Checks that the target exists and accepts the inputs; of a skill, sets responder_id. False: the reply is
 * set. */
bool schedule_check_target(struct request *r, struct schedule *s) WARN_UNUSED;
