/* How the requests for a model differ from the usual chat-completions request: APIs of one format disagree
 * about parameters. JSON, as the operator wrote it (`millrace model put --options`):
 *
 *   {"rename": {"max_tokens": "max_completion_tokens"},
 *    "drop":   ["temperature", "stream_options"],
 *    "add":    {"reasoning_effort": "low"},
 *    "key_header": "api-key",
 *    "query":  {"api-version": "2024-10-21"}}
 *
 * Each member may be absent. The first three change parameters and are applied in this order; an added
 * parameter replaces one of the same name. `messages` is never changed. `key_header` names the header that
 * carries the API key as it is, in the place of `Authorization: Bearer KEY`. `query` is added to the URL. */
#pragma once

#include <json-c/json.h>

#include "base/err.h"

enum {
    /* bytes of the text */
    MODEL_OPTIONS_MAX = 4096
};

/* Checks and parses the text; the value is owned by ctx. ERR_INVALID: *why_r is a sentence about the text. */
enum err model_options_parse(void *ctx, const char *text, json_object **options_r,
                             const char **why_r) WARN_UNUSED;
/* Changes the request. `options`: as parsed; NULL: none. */
void model_options_apply(json_object *options, json_object *request);
/* The header for the API key (of the options); NULL: Authorization, with the scheme Bearer. */
const char *model_options_key_header(json_object *options);
/* What follows the path of the URL: "?name=value&…", percent-encoded, of ctx; "" if there is nothing. */
const char *model_options_query(void *ctx, json_object *options);
