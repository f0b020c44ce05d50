/* Finding the execution that a command names. */
#pragma once

#include "cli/cli.h"
#include "store/event.h"

/* Parses an execution's id, opens the database and finds the run in any workspace. False after an error
 * message, with the exit code in *code_r. */
bool cli_find_execution(struct cli *cli, const char *text, struct run_progress *progress_r,
                        int *code_r) WARN_UNUSED;
