/* A skill as the target of runs: shared by its start and by schedules. */
#pragma once

#include "skill/manifest.h"

struct request;
struct run_request;
struct skill;

/* The alias of the model that the run will use: `asked` or, if that is NULL and the skill is one of the model
 * runner, the workspace's default; NULL: none. False: the reply is set. */
bool skill_choose_model(struct request *r, const char *asked, const struct manifest *m, const char **alias_r);
/* Fills in which skill and version `req` runs, and what that costs. */
void skill_set_target(struct run_request *req, const struct skill *skill);
