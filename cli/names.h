/* What operators type in place of an id: names, slugs and the displayed beginnings of API keys. A text that
 * is a UUID is an id and is not looked up. A name is compared byte by byte and must belong to one thing only.
 * Every function returns CLI_DONE, or another exit code after an error message; an ambiguous name's message
 * lists the ids. MariaDB must be open (cli_open). */
#pragma once

#include "cli/cli.h"

/* Opens MariaDB and finds a workspace. `text` NULL: the one that $MILLRACE_WORKSPACE_ID names. */
int cli_open_workspace(struct cli *cli, unsigned timeout_s, const char *text, id *workspace_r) WARN_UNUSED;
/* How most commands of a workspace begin: cli_parse with --workspace beside `options` (NULL: with nothing
 * else), then cli_open_workspace. A command that checks its arguments in between calls these. */
int cli_begin(struct cli *cli, int argc, char **argv, const struct cli_option *options, const char **rest_r,
              size_t rest_n, unsigned timeout_s, id *workspace_r) WARN_UNUSED;
/* Finds a workspace for a filter; `text` NULL: no filter, workspace_r is not set. */
int cli_workspace_filter(struct cli *cli, const char *text, id *workspace_r) WARN_UNUSED;
/* A workflow by name. `workspace` not set: of all workspaces. */
int cli_workflow(struct cli *cli, const id *workspace, const char *text, id *workflow_r) WARN_UNUSED;
/* A workflow by name, or a skill by slug. `workspace` not set: of all workspaces. */
int cli_responder(struct cli *cli, const id *workspace, const char *text, id *responder_r) WARN_UNUSED;
/* An API key by the beginning that `key list` shows, or by the key itself. */
int cli_key(struct cli *cli, const id *workspace, const char *text, id *key_r) WARN_UNUSED;
/* A tenant by name. */
int cli_tenant(struct cli *cli, const char *text, id *tenant_r) WARN_UNUSED;
