/* Helpers for the tests of programs. In the texts, ' stands for ". A text that is invalid fails the test. */
#pragma once

#include "workflow/program.h"

json_object *parse_json(void *ctx, const char *text);
struct program *compile_program(void *ctx, const char *text);
