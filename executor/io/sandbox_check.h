/* At the start of an executor: tells the operator in the log whether commands of skills can run on this
 * machine, before a run of a customer finds out. */
#pragma once

#include "base/config.h"

/* Starts `millrace-runner --check` in a process of its own, which logs sandbox.unavailable for each missing
 * feature that executor.sandbox_accept_missing does not list, with cause and remedy. Returns at once: an
 * executor without a sandbox still runs workflows and models. */
void sandbox_check_start(const struct config *config);
