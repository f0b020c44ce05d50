#include "executor/db_thread/commit.h"

#include <string.h>
#include <talloc.h>

#include "executor/db_thread/child_job.h"
#include "executor/db_thread/error_text.h"

static int commit_destroy(struct commit *c)
{
    for (size_t i = 0; i < c->children_n; i++)
        talloc_free(c->children[i]);
    return 0;
}

struct commit *commit_new(const id *run, const id *workspace, int attempt)
{
    struct commit *c = talloc_zero(NULL, struct commit);
    talloc_set_destructor(c, commit_destroy);
    c->job.kind = JOB_COMMIT;
    c->run = *run;
    c->workspace = *workspace;
    c->attempt = attempt;
    return c;
}

void commit_add_event(struct commit *c, enum event_type type, int64_t at_ms, const char *data)
{
    if (c->events_n == talloc_array_length(c->events))
        c->events = talloc_realloc(c, c->events, struct collected_event, 2 * c->events_n + 4);
    if (type == EVENT_STEP_STARTED)
        c->side_effects_started = true;
    c->bytes += COMMIT_ROW_BYTES + (data ? strlen(data) : 0);
    c->events[c->events_n++] = (struct collected_event){type, at_ms, data ? talloc_strdup(c, data) : NULL};
}

void commit_put_step(struct commit *c, const struct run_step *step)
{
    size_t index = 0;
    while (index < c->steps_n && (c->steps[index].step != step->step || c->steps[index].item != step->item))
        index++;
    if (index == talloc_array_length(c->steps))
        c->steps = talloc_realloc(c, c->steps, struct run_step, 2 * index + 4);
    if (index == c->steps_n) {
        c->steps_n++;
        c->bytes += COMMIT_ROW_BYTES;
    }
    c->steps[index] = *step;
    c->bytes += step->result ? strlen(step->result) : 0;
    c->steps[index].result = step->result ? talloc_strdup(c, step->result) : NULL;
    c->steps[index].error = error_text(c, step->error);
}

void commit_set_move(struct commit *c, const struct run_move *move)
{
    c->has_move = true;
    c->move = *move;
    c->bytes += move->output ? strlen(move->output) : 0;
    c->move.error = error_text(c, move->error);
    c->move.step = move->step ? talloc_strdup(c, move->step) : NULL;
    c->move.output = move->output ? talloc_strdup(c, move->output) : NULL;
}

void commit_set_park(struct commit *c, const struct commit_park *park)
{
    c->park = talloc_memdup(c, park, sizeof *park);
    c->park->children = talloc_memdup(c->park, park->children, sizeof(id) * park->children_n);
}

void commit_add_signal_wait(struct commit *c, const struct signal_wait *wait)
{
    c->signal_waits = talloc_realloc(c, c->signal_waits, struct signal_wait, c->signal_waits_n + 1);
    struct signal_wait *copy = &c->signal_waits[c->signal_waits_n++];
    *copy = *wait;
    copy->name = talloc_strdup(c, wait->name);
    copy->message = wait->message ? talloc_strdup(c, wait->message) : NULL;
    c->bytes += COMMIT_ROW_BYTES + (wait->message ? strlen(wait->message) : 0);
}

void commit_end_signal_wait(struct commit *c, int step, int item)
{
    c->waits_done = talloc_realloc(c, c->waits_done, struct signal_wait, c->waits_done_n + 1);
    c->waits_done[c->waits_done_n++] = (struct signal_wait){.step = step, .item = item};
}

void commit_end_signal(struct commit *c, int seq)
{
    c->signals_done = talloc_realloc(c, c->signals_done, int, c->signals_done_n + 1);
    c->signals_done[c->signals_done_n++] = seq;
}

void commit_add_child(struct commit *c, struct child_job *child)
{
    c->children = talloc_realloc(c, c->children, struct child_job *, c->children_n + 1);
    c->children[c->children_n++] = child;
    c->bytes += COMMIT_ROW_BYTES + child->request.input.size;
}

void commit_remove_child(struct commit *c, const struct child_job *child)
{
    for (size_t i = 0; i < c->children_n; i++) {
        if (c->children[i] != child)
            continue;
        c->bytes -= COMMIT_ROW_BYTES + child->request.input.size;
        c->children[i--] = c->children[--c->children_n];
    }
}

bool commit_is_empty(const struct commit *c)
{
    return c->events_n == 0 && c->steps_n == 0 && !c->has_move && !c->park;
}
