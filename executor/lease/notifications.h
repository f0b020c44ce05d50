/* What Redis publishes to executors: runs that were stopped and children that ended. These are hints: either
 * makes the executor read the row, and the next heartbeat or poll finds both in MariaDB too. The loop reads
 * one connection, and reconnects 1 s after it was lost. */
#pragma once

#include "executor/context/executor.h"

struct notifications;
struct notifications *notifications_start(void *ctx, struct executor *exec);
