/* What Redis tells an executor: which runs were stopped, which children have ended. Hints: each is found in
 * MariaDB by the next beat or poll, too. One connection, watched by the loop; made again a second after it
 * was lost. */
#pragma once

#include "executor/context/executor.h"

struct notifications;
struct notifications *notifications_start(void *ctx, struct executor *exec);
