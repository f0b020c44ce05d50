/* A blob as an answer: nginx sends the bytes, with ranges, as a download that no browser shows. */
#pragma once

#include "blob/blob.h"

struct request;

int blob_reply(struct request *r, const uint8_t sha256[BLOB_HASH], const char *media_type, const char *name);
