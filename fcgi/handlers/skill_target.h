/* A skill as the target of runs: shared by its start, by schedules and by tools. */
#pragma once

#include "run/accept_types.h"
#include "skill/manifest.h"

struct request;
struct skill;

/* What starts a run of a skill. */
struct skill_start_form {
    /* First member: the target validator receives a pointer to it and casts it back. */
    struct run_request run;
    const char *slug;
    /* Alias; NULL: the workspace's default. */
    const char *model;
    json_object *inputs;
    const char **files;
    size_t files_n;
};
/* A target_validator (fcgi/forms/start_run.h) for a struct skill_start_form: the skill's current version. */
bool skill_validate_target(struct request *r, struct run_request *req, bool bypass_cache);

/* The alias of the model that the run will use: `asked` or, if that is NULL and the skill is one of the model
 * runner, the workspace's default; NULL: none. False: the reply is set. */
bool skill_choose_model(struct request *r, const char *asked, const struct manifest *m, const char **alias_r);
/* Fills in which skill and version `req` runs, and what that costs. */
void skill_set_target(struct run_request *req, const struct skill *skill);
