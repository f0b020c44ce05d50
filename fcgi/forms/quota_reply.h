/* The response to a request that would exceed a quota of its workspace. */
#pragma once

#include "store/quota.h"

struct request;

/* 403 `quota_exceeded`, with the quota's name and limit in `detail`. Returns the status. */
int quota_reply(struct request *r, const struct quota_excess *excess);
