/* What an authenticated request may do: filled in by fcgi/http/auth.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"

struct access {
    id key_id, workspace_id, principal_id;
    uint32_t scopes;
    /* Requests per minute; 0: the setting applies. */
    int64_t rate_limit;
    /* Streams and waits that the workspace may have open, per host; -1: the setting applies. */
    int64_t streams;
    /* Set if the cookie of a session authenticated the request; key_id is then the session's key. */
    id session_id;
    /* Set if the session is an operator's. key_id and principal_id have the same value, and workspace_id is
     * the one that the request names; it may be unset where the route needs none. */
    id operator_id;
    /* The time of last use, of the key or session, must be updated after the reply. */
    bool last_used_is_stale;
    /* A key header authenticated the request, not a ticket in the URL. */
    bool by_header;
};
