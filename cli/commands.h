/* The commands, one file of cli/ a noun; main.c has the table. */
#pragma once

#include "cli/cli.h"

int cmd_migrate(struct cli *cli, int argc, char **argv);
int cmd_config(struct cli *cli, int argc, char **argv);
