/* Reading the folder of a skill, for the commands that check, install or run one. */
#pragma once

#include "cli/cli.h"
#include "skill/manifest.h"
#include "skill/package.h"

/* Reads and compiles a skill. False after its problems were printed. Everything is of cli->ctx. */
bool cli_read_skill(struct cli *cli, const char *dir, struct package **package_r,
                    struct manifest **m_r) WARN_UNUSED;
/* Prints the problems as a table and returns CLI_FAILED. */
int cli_skill_problems(struct cli *cli, const char *dir, const struct json_problems *p);
