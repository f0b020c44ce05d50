/* Step type `wait`: waits for a signal, or for the end of its timeout_seconds. The run is parked for it at
 * once; the transaction that parks it, or the one that stores the signal, gives the signal to the wait
 * (docs/correctness.md, "Signals"), and the attempt that follows finds it in its claim. */
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/run/workflow/action.h"
#include "service/compute_thread.h"
#include "workflow/program_eval.h"
#include "json/json.h"

/* Checks of a validation on the loop: about a millisecond. */
enum { CHECKS_INLINE = 20000 };

struct wait_action {
    /* of this struct; message: NULL if there is none */
    char *name, *message;
    /* NULL: none came before the timeout */
    const struct given_signal *signal;
    /* The data as text and what it is validated by, with a reference to its program: the compute thread may
     * have them after the run has left memory. */
    const char *text;
    const struct schema *schema;
    struct cached_program *program;

    /* --- the result of the validation --- */
    json_object *data;
    /* Why the step does not take the data; NULL: it does. */
    const char *why;
};

static int wait_action_destroy(struct wait_action *s)
{
    cached_program_unref(s->program);
    return 0;
}

static enum err render_texts(struct action *a, struct wait_action *s, const char **why_r)
{
    struct template_scope scope = action_scope(a);
    size_t size;
    enum err e =
        template_render_text(s, a->step->signal, &scope, PROGRAM_SIGNAL_MAX + 1, &s->name, &size, why_r);
    if (e == OK && !program_is_signal_name(s->name, size)) {
        *why_r = "the name of the signal must be 1 to 64 letters, digits, _, - and .";
        return ERR_INVALID;
    }
    if (e == OK && a->step->message)
        e = template_render_text(s, a->step->message, &scope, PROGRAM_MESSAGE_MAX, &s->message, &size, why_r);
    return e;
}

static struct wait_action *new_state(struct action *a)
{
    struct wait_action *s = talloc_zero(a, struct wait_action);
    a->state = s;
    talloc_set_destructor(s, wait_action_destroy);
    return s;
}

static void add_event(struct action *a, enum event_type type, json_object *data)
{
    const struct wait_action *s = a->state;
    json_object_object_add(data, "index", json_object_new_int((int)a->step->index));
    json_object_object_add(data, "name", json_object_new_string(a->step->name));
    json_object_object_add(data, "step_type", json_object_new_string(a->step->type_name));
    if (a->item >= 0)
        json_object_object_add(data, "item", json_object_new_int(a->item));
    json_object_object_add(data, "signal", json_object_new_string(s->name));
    commit_add_event(run_pending_commit(a->run), type, clock_wall_ms(), json_text(data, NULL));
    json_object_put(data);
}

static enum err prepare_wait(struct action *a, const char **why_r)
{
    char at[CLOCK_TEXT_SIZE];
    struct wait_action *s = new_state(a);
    enum err e = render_texts(a, s, why_r);
    if (e != OK)
        return e;
    action_set_due_in(a, a->step->timeout_ms);
    json_object *data = json_object_new_object();
    json_object_object_add(data, "timeout_at", json_object_new_string(clock_text_z(a->due_ms, at)));
    if (s->message)
        json_object_object_add(data, "message", json_object_new_string(s->message));
    add_event(a, EVENT_STEP_WAITING, data);
    return OK;
}

static const struct given_signal *find_signal(const struct action *a)
{
    for (size_t i = 0; i < a->group->signals_n; i++) {
        const struct given_signal *g = &a->group->signals[i];
        if (g->step == (int)a->step->index && g->item == a->item)
            return g;
    }
    return NULL;
}

static enum err resume_wait(struct action *a, bool *is_due_r, const char **why_r)
{
    struct wait_action *s = new_state(a);
    s->signal = find_signal(a);
    *is_due_r = *is_due_r || s->signal;
    return render_texts(a, s, why_r);
}

/* --- the check of the data --- */

static const char *refusal(void *ctx, enum err e, const struct schema_problems *found)
{
    if (e == OK)
        return NULL;
    if (found->count == 0)
        return "the data does not match the schema";
    return talloc_asprintf(ctx, "%s: %s", *found->items[0].pointer ? found->items[0].pointer : "the data",
                           found->items[0].message);
}

/* False: `checks` do not suffice, and nothing is decided. */
static bool check_data_within(struct wait_action *s, void *ctx, long checks)
{
    struct schema_problems found = {0};
    const char *why;
    enum err e = OK;
    if (s->text &&
        json_parse_tolerant(ctx, s->text, strlen(s->text), TEMPLATE_DEPTH_MAX, &s->data, &why) != OK)
        s->data = NULL;
    if (s->schema)
        e = schema_validate_within(ctx, s->schema, s->data, checks, &found);
    s->why = refusal(ctx, e, &found);
    return e != ERR_LIMIT;
}

/* On the compute thread. */
static void check_data(void *state, void *ctx)
{
    (void)check_data_within(state, ctx, SCHEMA_BUDGET_DEFAULT);
}

static json_object *signal_result(void *ctx, const struct wait_action *s)
{
    char at[CLOCK_TEXT_SIZE];
    json_object *by = NULL;
    const char *why;
    json_object *result = json_own(ctx, json_object_new_object());
    if (json_parse_tolerant(ctx, s->signal->sender, strlen(s->signal->sender), TEMPLATE_DEPTH_MAX, &by,
                            &why) != OK)
        by = NULL;
    json_object_object_add(result, "name", json_object_new_string(s->signal->name));
    json_object_object_add(result, "data", json_object_get(s->data));
    json_object_object_add(result, "by", json_object_get(by));
    json_object_object_add(result, "at", json_object_new_string(clock_text_offset(s->signal->at_ms, at)));
    return result;
}

static void end_wait(struct action *a)
{
    const struct wait_action *s = a->state;
    void *scratch = talloc_new(NULL);
    json_object *result = s->signal ? signal_result(scratch, s) : NULL;
    a->wait = (struct wait_end){.is_over = true, .seq = s->signal ? s->signal->seq : 0};
    action_succeed(a, result);
    talloc_free(scratch);
}

/* A signal that came before the wait was known has not been validated yet. One that does not fit is dropped,
 * and the wait goes on. */
static void take_or_refuse(struct action *a)
{
    struct wait_action *s = a->state;
    if (!s->why) {
        end_wait(a);
        return;
    }
    json_object *rejected = json_object_new_object();
    json_object_object_add(rejected, "error", json_object_new_string(s->why));
    commit_end_signal(run_pending_commit(a->run), s->signal->seq);
    add_event(a, EVENT_SIGNAL_REJECTED, rejected);
    s->signal = NULL;
    action_wait_again(a);
}

/* The wait is over, unless the schema refuses the signal's data. */
static void start_wait(struct action *a)
{
    struct wait_action *s = a->state;
    if (!s->signal) {
        end_wait(a);
        return;
    }
    s->text = s->signal->data ? talloc_strdup(s, s->signal->data) : NULL;
    s->schema = a->step->signal_schema;
    s->program = a->group->cached_program ? cached_program_ref(a->group->cached_program) : NULL;
    if ((!s->text || strlen(s->text) <= COMPUTE_INLINE_MAX) && check_data_within(s, s, CHECKS_INLINE))
        take_or_refuse(a);
    else
        action_compute(a, check_data, take_or_refuse);
}

static void put_signal_wait(struct action *a)
{
    const struct wait_action *s = a->state;
    const struct signal_wait wait = {.step = (int)a->step->index,
                                     .item = a->item,
                                     .name = s->name,
                                     .message = s->message,
                                     .due_ms = a->due_ms};
    commit_add_signal_wait(run_pending_commit(a->run), &wait);
}

const struct step_kind step_wait = {.prepare = prepare_wait,
                                    .resume = resume_wait,
                                    .start = start_wait,
                                    .no_effect = true,
                                    .put_signal_wait = put_signal_wait};
