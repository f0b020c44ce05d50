/* A workflow as the JSON object of the API. */
#pragma once

#include "store/workflow.h"
#include "json/json_write.h"

/* The program is shown if it was read. */
void view_workflow(struct json_write *w, const struct workflow *workflow);
