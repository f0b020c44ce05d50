/* In place of the database thread, for tests without MariaDB and Redis: the test finishes each job itself. */
#pragma once

#include "stream/db_thread.h"

/* The job of a kind, and of a workspace unless that is NULL, that was submitted first. NULL: there is none.
 */
struct stream_db_job *first_submitted(enum stream_db_job_kind kind, const id *workspace);
/* Finishes a submitted job as the loop does. */
void finish_submitted(struct stream_db_job *job, enum err e);
