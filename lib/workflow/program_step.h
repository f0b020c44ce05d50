/* Compiles one step of a program. Private to lib/workflow. */
#pragma once

#include "workflow/program_check.h"

/* Compiles step `index` from its JSON into c->program->steps[index]; problems are added to c->problems. */
void program_check_step(struct program_checker *c, size_t index, json_object *document);
