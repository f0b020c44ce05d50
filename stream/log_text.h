/* The log of a run as plain text, made of its events: what GET …/logs?follow=true sends. Pure. */
#pragma once

#include <stddef.h>

#include "run/states.h"

/* Appends the text of an event to the talloc string *out: that of a `log` event, and a line about what is
 * missing after it. Nothing for other events. `json` is the event as event_json_make wrote it. */
void log_text_append(char **out, enum event_type type, const char *json, size_t size);
