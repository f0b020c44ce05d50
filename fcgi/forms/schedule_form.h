/* The bodies of POST and PATCH /schedules (docs/schedules.md). */
#pragma once

#include "store/schedule.h"

struct request;

enum { SCHEDULE_NOTE_MAX = 1000 };

/* Reads the body into *s, which holds the defaults or the stored schedule; a member that is absent leaves its
 * fields. Checks the times, the workflow and the inputs. *timing_r is set; *retimed_r: a member that decides
 * the times was present. False: the request is rejected, or the reply is set. */
bool schedule_form_read(struct request *r, struct schedule *s, struct timing *timing_r,
                        bool *retimed_r) WARN_UNUSED;
/* The schedule's runs act for the caller from now on: by his principal and key. */
void schedule_form_own(struct request *r, struct schedule *s);
