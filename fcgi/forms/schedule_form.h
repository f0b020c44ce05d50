/* The bodies of POST and PATCH /schedules (docs/schedules.md). */
#pragma once

#include "store/schedule.h"

struct request;

enum { SCHEDULE_NOTE_MAX = 1000, SCHEDULE_SLUG_MAX = 64 };

struct schedule_form {
    struct timing timing;
    /* A member that decides the times, or `paused`, was present. */
    bool retimed;
    /* The inputs are new: the target has to accept them. */
    bool has_inputs;
};

/* Reads the body into *s, which holds the defaults or the stored schedule; a member that is absent leaves its
 * fields. Checks everything but the target. False: the request is rejected, or the reply is set. */
bool schedule_form_read(struct request *r, struct schedule *s, struct schedule_form *f_r) WARN_UNUSED;
/* The query of a preview of times, into *s, which holds the defaults. False: the request is rejected, or the
 * reply is set. */
bool schedule_form_read_query(struct request *r, struct schedule *s, struct timing *timing_r) WARN_UNUSED;
/* The body of a backfill: {from, to}. False: the request is rejected. */
bool schedule_form_read_range(struct request *r, int64_t *from_ms_r, int64_t *to_ms_r) WARN_UNUSED;
/* The schedule's runs act for the caller from now on: by his principal and key. */
void schedule_form_own(struct request *r, struct schedule *s);
