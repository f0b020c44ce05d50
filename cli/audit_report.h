/* What `millrace audit` and `millrace backup` share. */
#pragma once

#include "cli/cli.h"
#include "maintenance/audit.h"

/* Reads ids, one a line; empty lines are ignored; "-" is standard input. False after an error message. */
bool audit_read_ids(struct cli *cli, const char *path, id **ids_r, size_t *n_r) WARN_UNUSED;
/* The violations as an array of objects. */
json_object *audit_violations_json(const struct audit *a);
