/* A workflow as the JSON of the contract. */
#pragma once

#include "core/json_write.h"
#include "core/store_workflow.h"

/* With version and program where it was read. */
void view_workflow(struct json_write *w, const struct workflow *x);
