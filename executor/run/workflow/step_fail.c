/* Step type `fail`: fails with a message that the program gives. */
#include <talloc.h>

#include "base/utf8.h"
#include "executor/run/workflow/action.h"

static enum err evaluate_fail(void *ctx, const struct program_step *step, const struct template_scope *scope,
                              json_object **result_r, const char **why_r)
{
    char *message;
    size_t size;
    enum err e = template_render_text(ctx, step->message, scope, PROGRAM_RESULT_MAX, &message, &size, why_r);
    /* an error is a NUL-terminated text everywhere; U+FFFD shows where the NULs were */
    if (e == OK) {
        char *shown = talloc_size(ctx, 3 * size + 1);
        shown[utf8_sanitize(shown, message, size, false)] = '\0';
        *why_r = shown;
    }
    return ERR_INVALID;
}

const struct step_kind step_fail = {.evaluate = evaluate_fail};
