/* The response to a request with an Idempotency-Key, stored to answer a repetition of the request. */
#pragma once

#include "base/span.h"

struct stored_response {
    /* HTTP status: 200, 201 or 202. */
    int status;
    /* JSON. Absent where the body was purged, or is kept only in MariaDB; the caller then builds the response
     * from the execution. */
    struct span body;
};
