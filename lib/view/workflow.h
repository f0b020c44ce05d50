/* A workflow as the JSON of the contract. */
#pragma once

#include "store/workflow.h"
#include "json/json_write.h"

/* With version and program where it was read. */
void view_workflow(struct json_write *w, const struct workflow *workflow);
