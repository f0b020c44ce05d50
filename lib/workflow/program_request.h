/* Compiles the fields of an http step: its request and the expected status. Private to lib/workflow. */
#pragma once

#include "workflow/program_check.h"

/* Compiles the fields of `document`, the step at the JSON pointer `pointer`; problems are added to the
 * checker's list. */
void program_check_request(struct template_place *place, json_object *document, const char *pointer,
                           struct program_step *step);
