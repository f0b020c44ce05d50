/* The key files that a backup does not hold, by their fingerprints. */
#pragma once

#include "backup/manifest.h"
#include "cli/cli.h"

/* Sets the fingerprints of this host's keys; NULL where the setting is empty. False after an error message:
 * a key file cannot be read. */
bool backup_read_keys(struct cli *cli, const char **secrets_r, const char **webhooks_r) WARN_UNUSED;
/* {secrets, webhooks}, each "same", "different", "missing here" or "none". */
json_object *backup_compare_keys(struct cli *cli, const struct manifest *m);
