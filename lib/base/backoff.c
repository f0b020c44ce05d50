#include "base/backoff.h"

#include <math.h>
#include <sodium.h>

int64_t backoff_at_ms(int64_t first_ms, int attempt, int64_t most_ms, double random)
{
    double ms = (double)first_ms * exp2(attempt - 1) * (0.8 + 0.4 * random);
    return ms < (double)most_ms ? (int64_t)ms : most_ms;
}

int64_t backoff_ms(int64_t first_ms, int attempt, int64_t most_ms)
{
    enum { STEPS = 1 << 30 };
    return backoff_at_ms(first_ms, attempt, most_ms, randombytes_uniform(STEPS) / (double)STEPS);
}
