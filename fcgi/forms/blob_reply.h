/* Answers with a blob. nginx sends the bytes and serves ranges; browsers download the blob instead of showing
 * it. */
#pragma once

#include "blob/blob.h"

struct request;

int blob_reply(struct request *r, const uint8_t sha256[BLOB_HASH], const char *media_type, const char *name);
