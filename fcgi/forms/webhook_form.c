#include "fcgi/forms/webhook_form.h"

#include <talloc.h>

#include "fcgi/forms/form.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "webhook/endpoint.h"
#include "webhook/event.h"

bool webhook_form_events(struct request *r, const char *name, json_object *list, uint32_t allowed,
                         uint32_t *events_r)
{
    *events_r = 0;
    bool ok = json_object_is_type(list, json_type_array) && json_object_array_length(list) > 0;
    for (size_t i = 0; ok && i < json_object_array_length(list); i++) {
        const char *text = json_plain(json_object_array_get_idx(list, i));
        uint32_t bit = 0;
        ok = text && webhook_event_find(text, allowed, &bit);
        *events_r |= bit;
    }
    return ok ||
           form_reject_value(r, name, talloc_asprintf(r, "an array of %s", webhook_event_names(r, allowed)));
}

bool webhook_form_has_key(struct request *r)
{
    return r->app->webhook_key ||
           request_reject(r, 503, "unavailable", "Webhooks are not configured on this server.");
}

int webhook_reply_disabled(struct request *r)
{
    return reply_problem(r, 409, "webhook_disabled", "The webhook is disabled; enable it first.");
}

bool webhook_form_url(struct request *r, const char *name, json_object *value, const char **url_r)
{
    *url_r = json_plain(value);
    return (*url_r && webhook_url_fits(*url_r)) ||
           form_reject_value(r, name, "an http or https URL of at most 2048 bytes without user and fragment");
}
