/* How many runs are queued, run and wait, for GET /metrics and the operators' overview. They are counted for
 * each request while they are few. Of many, a request gets the numbers that a worker has counted last
 * (fcgi/shared/load_sample.h), and has them counted again after its answer: nobody waits for it, except the
 * first one. */
#pragma once

#include "fcgi/http/request.h"
#include "fcgi/shared/load_sample.h"

/* More than so many queued or waiting runs are many: counting them takes longer than some tens of
 * milliseconds. */
enum { LOAD_MANY = 50000 };

/* *age_ms_r: 0 if they were counted now. */
enum err load_read(struct request *r, struct load_numbers *numbers_r, int64_t *age_ms_r) WARN_UNUSED;
