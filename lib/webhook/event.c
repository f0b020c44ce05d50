#include "webhook/event.h"

#include <string.h>
#include <talloc.h>

static const char *const event_names[] = {
    [WEBHOOK_STARTED] = "execution.started",
    [WEBHOOK_SUCCEEDED] = "execution.succeeded",
    [WEBHOOK_FAILED] = "execution.failed",
    [WEBHOOK_STOPPED] = "execution.stopped",
    [WEBHOOK_DISABLED] = "webhook.disabled",
    [WEBHOOK_TEST] = "webhook.test",
    [WEBHOOK_BUDGET_SOFT] = "budget.soft",
    [WEBHOOK_BUDGET_EXCEEDED] = "budget.exceeded",
    [WEBHOOK_WAITING] = "execution.waiting",
    [WEBHOOK_CREDITS_LOW] = "credits.low",
    [WEBHOOK_CREDITS_SPEND_HIGH] = "credits.spend_high",
};
enum { EVENT_NAMES = sizeof event_names / sizeof event_names[0] };

const char *webhook_event_name(enum webhook_event event)
{
    return (int)event < (int)EVENT_NAMES ? event_names[event] : NULL;
}

bool webhook_event_find(const char *name, uint32_t allowed, uint32_t *bit_r)
{
    for (int i = WEBHOOK_STARTED; i < EVENT_NAMES; i++) {
        *bit_r = webhook_event_bit((enum webhook_event)i);
        if ((*bit_r & allowed) && strcmp(event_names[i], name) == 0)
            return true;
    }
    return false;
}

const char *webhook_event_names(void *ctx, uint32_t events)
{
    char *text = talloc_strdup(ctx, "");
    for (int i = WEBHOOK_STARTED; i < EVENT_NAMES; i++) {
        if (events & webhook_event_bit((enum webhook_event)i))
            text = talloc_asprintf_append_buffer(text, "%s%s", *text ? ", " : "", event_names[i]);
    }
    return text;
}
