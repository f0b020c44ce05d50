/* Requests that take effect once (account/once.h): their Idempotency-Key and their reply. */
#pragma once

#include "account/once.h"

struct request;
struct json_write;

/* Reads the Idempotency-Key and prepares `o`, whose response will have this status. False: the header is
 * malformed, and the request is rejected. */
bool once_read(struct request *r, struct once *o, int status) WARN_UNUSED;
/* For respond(): the body is what was written to `w`. */
enum err once_respond(struct once *o, struct json_write *w) WARN_UNUSED;
/* Ends a rejected request: as reject_or_replay. */
int once_reject(struct request *r, const struct once *o);
/* Ends a request that was refused with a reply of this status: as refuse_or_replay. */
int once_refuse(struct request *r, const struct once *o, int status);
/* The reply after once_transaction without an error. */
int once_reply(struct request *r, const struct once *o);
