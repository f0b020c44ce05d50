/* What a run costs. */
#pragma once

#include "run/accept_types.h"

/* Micro-credits: the responder's own price, else the workspace's (`account_price`, -1: not set), else one
 * credit; but never less than the program or manifest asks for. */
int64_t run_price(const struct run_request *req, int64_t account_price);
