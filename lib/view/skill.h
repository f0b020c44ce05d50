/* Skills and their executions as the JSON objects of the skills API. Every documented member is present; null
 * stands for a missing value. */
#pragma once

#include "store/skill.h"
#include "store/skill_execution.h"
#include "json/json_write.h"

/* The execution with inputs, outputs, artifacts and children. */
void view_skill_execution(struct json_write *w, const struct skill_execution *exec);

/* A skill with its own versions of the list `versions`. The manifest is shown if `whole` is set. */
void view_skill(struct json_write *w, const struct skill *s, const struct skill_version *versions,
                size_t versions_n, bool whole);
