/* What Redis publishes to executors: runs that were stopped, children that ended, how long accepting takes
 * (claim_pace.h), and operators' questions (redis/share_question.h). The others are hints: each of the first
 * two makes the executor read the row, and the next heartbeat or poll finds both in MariaDB too. Without the
 * third, claims are not limited. The loop reads one connection, and reconnects 1 s after it was lost. */
#pragma once

#include "executor/context/executor.h"

struct notifications;
struct notifications *notifications_start(void *ctx, struct executor *exec);
