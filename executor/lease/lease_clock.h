/* Whether the lease is good, shared by the threads of one process without a lock.
 *
 * The liveness thread renews the lease with each heartbeat that MariaDB has taken; any thread asks whether it
 * holds. A lease that was once found to be over stays over, whichever thread found it: side effects may have
 * been held back since, and the other processes are about to take the runs. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All times are milliseconds of CLOCK_BOOTTIME. Zeroed at first but for lease_ms: no lease yet. */
struct lease_clock {
    /* How long a lease holds (executor.lease_s); set before the threads start. */
    int64_t lease_ms;
    /* When the heartbeat was sent that the lease counts from; 0: no lease yet; negative: over. */
    _Atomic(int64_t) valid_from_ms;
    /* When the last successful heartbeat was sent, also after the lease is over. */
    _Atomic(int64_t) sent_ms;
};

/* A heartbeat that was sent at sent_ms has succeeded, and it is now_ms. False: the lease was over before. */
bool lease_clock_renew(struct lease_clock *c, int64_t sent_ms, int64_t now_ms);
/* True: side effects and claims may begin. */
bool lease_clock_holds(struct lease_clock *c, int64_t now_ms);
/* Ends the lease now, for example because another process has marked this one as lost. */
void lease_clock_end(struct lease_clock *c);
/* True after the lease has ended; false while it holds and before there is one. */
bool lease_clock_is_over(struct lease_clock *c, int64_t now_ms);
