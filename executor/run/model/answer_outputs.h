/* Finds the outputs of a run in the text of a model's answer. Models are told to answer with one JSON object,
 * and write around it: their reasoning before it (`<think>…</think>`), a sentence, a code fence. Pure. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#include "skill/manifest.h"

enum answer_verdict {
    ANSWER_OK,
    /* nothing but reasoning or white space */
    ANSWER_EMPTY,
    /* there are no outputs, or they do not match the manifest's schema */
    ANSWER_UNUSABLE,
    /* parsing or validating an object in it exceeds the limits of json_parse or schema_validate */
    ANSWER_LIMIT,
};

/* The outputs are, in this order:
 *
 * 1. The text itself, without leading reasoning, if it is a JSON object.
 * 2. The one JSON object in it, at most 1 MiB of text. Of several different ones, the one that matches the
 *    schema; if several do, the one in a code fence.
 * 3. The whole text, if the outputs are a single string and the text contains no JSON object, complete or
 *    broken.
 *
 * *outputs_r is owned by ctx. Unless ANSWER_OK, *why_r is a sentence. */
enum answer_verdict answer_outputs(void *ctx, const struct manifest *manifest, const char *text, size_t size,
                                   json_object **outputs_r, const char **why_r);

/* The text after the reasoning that it begins with. Known marks: <think>, <thinking>, <thought>, <reasoning>,
 * [THINK] and ◁think▷ with their ends; some servers send the end alone. Reasoning that does not end leaves
 * nothing. */
const char *answer_without_reasoning(const char *text, size_t size, size_t *size_r);
