/* What the requests about webhooks have in common. */
#pragma once

#include <stdint.h>

#include "json/json.h"

struct request;

/* Reads an array of names of events, without duplicates, among those of the set `allowed`
 * (lib/outbox/outbox.h). False: the request is rejected. */
bool webhook_form_events(struct request *r, const char *name, json_object *list, uint32_t allowed,
                         uint32_t *events_r) WARN_UNUSED;
/* False if the server has no key for the secrets of webhooks: the request is rejected. */
bool webhook_form_has_key(struct request *r) WARN_UNUSED;
/* Replies that the endpoint is switched off; returns the status. */
int webhook_reply_disabled(struct request *r);
/* Reads a URL. False: the request is rejected. */
bool webhook_form_url(struct request *r, const char *name, json_object *value,
                      const char **url_r) WARN_UNUSED;
