/* Parts of GET /metrics: what one host can say, and what MariaDB knows of the installation. Each appends
 * lines to `text` and returns it; what cannot be read is left out. */
#pragma once

#include "fcgi/http/request.h"
#include "fcgi/shared/load_sample.h"
#include "store/metrics.h"

/* Pools, Redis, the disk of files.dir. Asks no database. */
char *metrics_add_host(char *text, struct request *r);
/* Connections, clocks, counts and times since the installation, and the workspaces with most runs. */
char *metrics_add_installation(char *text, struct request *r, const struct store_metrics *m,
                               const struct load_numbers *load);
